"""An answer that is given when a job ends. Until then the request holds no thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, g, request
from flask.typing import ResponseReturnValue
from structlog.contextvars import bind_contextvars
from werkzeug.exceptions import HTTPException

from gateway.errors import REDIS_AWAY
from gateway.services import Services
from gateway.waiting.disconnects import Reader, disconnect_check
from shared.errors import JobCancelled, JobNotFound
from shared.records import JobRecord

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

POSTPONE = "longhand.postpone"
"""Key in the WSGI environment of a function that takes a `Postponed` and puts its request aside."""

POSTPONED = "longhand.postponed"
"""Key in the WSGI environment of the `Postponed` that is to be answered now."""

Answer = Callable[[JobRecord], Response]


def wait_for(
    here: Services, record: JobRecord, answer: Answer, *, seconds: float, reader: Reader
) -> Response:
    """
    Answer when a job has ended, when the time is over, or when the gateway stops.

    Args:
        answer: Makes the answer from the job's record. It is called on another thread, as part of
            the same request.
        seconds: The longest wait; 0 answers now.
        reader: The caller.

    Returns:
        The answer, or a `Postponed` in its place.
    """
    if seconds <= 0 or record.status.is_final or here.waiting.is_stopped:
        return answer(record)
    return Postponed(here, record, answer, seconds=seconds, reader=reader)


class Postponed(Response):
    """
    What a route returns when it has no answer yet.

    Attributes:
        seconds: The longest wait.
        reader: The caller.
    """

    def __init__(
        self,
        here: Services,
        record: JobRecord,
        answer: Answer,
        *,
        seconds: float,
        reader: Reader,
    ) -> None:
        super().__init__()
        self._here = here
        self._record = record
        self._answer = answer
        self._kept: dict[str, Any] = {}
        self.seconds = seconds
        self.reader = reader

    @property
    def job_id(self) -> str:
        """The job that the caller waits for."""
        return self._record.id

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Ask the server to put the request aside; nothing is sent."""
        self._kept = {name: g.get(name) for name in g}
        environ[POSTPONE](self)
        return ()

    def wait_here(self) -> Response:
        """Wait on this thread and answer: for a server that cannot put a request aside."""
        watch = self._here.waiting.watch
        return self._answer(
            watch(self._record, self.seconds, disconnect_check(), stay=self.reader.stay)
        )

    def resume(self) -> None:
        """Give the present request what Flask's `g` held when it was put aside."""
        for name, value in self._kept.items():
            setattr(g, name, value)
        if "request_id" in g:
            bind_contextvars(request_id=g.request_id)

    def answer(self) -> Response:
        """
        Make the answer.

        Raises:
            LonghandError: The job was deleted, or the route answers with an error.
        """
        return self._answer(self._seen())

    def _seen(self) -> JobRecord:
        if self._record.status.is_final:
            return self._record
        try:
            return self._here.jobs.get(self.job_id)
        except JobNotFound as error:
            raise JobCancelled("the job was deleted before it ended", job_id=self.job_id) from error
        except REDIS_AWAY:
            # The job was accepted, so its caller gets the id and no error.
            return self._record


class PostponingFlask(Flask):
    """
    An application whose routes may return `Postponed`.

    Such a request is dispatched twice. What comes before a route (access, rates, the request's id)
    runs only the first time; what comes after a route (headers, the log line) only the second.
    """

    def full_dispatch_request(self) -> Response:
        """Answer a request, or finish one that was put aside; see `Flask`."""
        postponed = request.environ.pop(POSTPONED, None)
        if postponed is None:
            return super().full_dispatch_request()
        assert isinstance(postponed, Postponed)
        postponed.resume()
        return self._finish(postponed.answer)

    def finalize_request(
        self, rv: ResponseReturnValue | HTTPException, from_error_handler: bool = False
    ) -> Response:
        """Run what comes after a route, unless the answer comes later; see `Flask`."""
        if not isinstance(rv, Postponed):
            return super().finalize_request(rv, from_error_handler)
        if POSTPONE in request.environ:
            return rv
        return self._finish(rv.wait_here)

    def _finish(self, make: Callable[[], Response]) -> Response:
        try:
            answer: Any = make()
        except Exception as error:
            answer = self.handle_user_exception(error)
        return super().finalize_request(answer)
