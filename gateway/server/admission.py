"""
Decides from the header of a request whether its caller may send the body.

waitress receives the whole body to disk before it calls the application, so a caller without a key
could fill the disk. The parser here checks the key first. It runs on waitress's only I/O thread,
so it reads callers from memory and the file of keys at most once a second.
To be removed when waitress calls the application before the body has been received.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.access.breaches import Breaches
from gateway.access.callers import Access, refuse_untrusted_page
from gateway.access.origins import Origins
from gateway.server.channel import Channel, JsonErrorTask, Parser, Refusal, listeners_of
from shared.errors import InvalidRequest, LonghandError


class Admission:
    """Decides whether a caller may send the body they announce."""

    def __init__(self, access: Access, origins: Origins, breaches: Breaches) -> None:
        self._access = access
        self._origins = origins
        self._breaches = breaches

    def refusal(
        self, method: str, headers: Mapping[str, str], peer: str | None
    ) -> LonghandError | None:
        """
        The error to answer before the body is read; None if the caller may send it.

        Args:
            headers: As waitress keeps them: `X_API_KEY`.
            peer: The address of the connection.
        """
        named = WaitressHeaders(headers)
        try:
            self._origins.refuse_foreign(method, named)
            caller = self._access.identify(headers=named, peer=peer)
            refuse_untrusted_page(caller, self._origins, method, named)
        except LonghandError as error:
            return error
        return self._breaches.refusal(caller, peer)

    def answer_headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """The CORS headers that let a page of a listed origin read the answer; see `Origins`."""
        return self._origins.answer_headers(headers.get("ORIGIN"))


class WaitressHeaders:
    """
    waitress's headers, looked up by their usual names.

    >>> WaitressHeaders({"X_API_KEY": "k"}).get("X-API-Key")
    'k'
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def get(self, key: str, /) -> str | None:
        """The value of a header; None if it was not sent."""
        return self._headers.get(key.upper().replace("-", "_"))


class AdmittingParser(Parser):
    """Ends a request at its header if its caller may not send the body."""

    admission: Admission
    peer: str | None = None

    def refusal(self) -> Refusal | None:
        """The answer to a request that is refused now. One without a body is left to the routes."""
        if self.content_length > 0 or self.chunked:
            if self.command == "OPTIONS":  # proxies may pass it on without a password
                return Refusal(InvalidRequest("a request with OPTIONS has no body here"))
            error = self.admission.refusal(self.command, self.headers, self.peer)
            if error is not None:
                return Refusal(error)
        return super().refusal()


class AdmittingErrorTask(JsonErrorTask):
    """Lets pages of listed origins read why their request was refused."""

    def execute(self) -> None:
        """Write the answer."""
        headers = self.request.admission.answer_headers(self.request.headers)
        self.response_headers.extend(headers.items())
        super().execute()


class AdmittingChannel(Channel):
    """A connection that tells each request's parser the address of its peer."""

    site_parser: type[AdmittingParser]

    def parser_class(self, adjustments: Any) -> Parser:  # type: ignore[override]
        """Begin to read a request."""
        parser = self.site_parser(adjustments)
        parser.peer = self.addr[0]
        return parser


def use_admission(server: Any, admission: Admission) -> None:
    """Let a waitress server ask `admission` before it takes a body. Call it after `use_channel`."""
    for listener in listeners_of(server):
        channel = listener.channel_class
        parser = type(
            "AdmittingSiteParser", (AdmittingParser, channel.parser_class), {"admission": admission}
        )
        task = type("AdmittingSiteTask", (AdmittingErrorTask, channel.error_task_class), {})
        listener.channel_class = type(
            "AdmittingSiteChannel",
            (AdmittingChannel, channel),
            {"site_parser": parser, "error_task_class": task},
        )
