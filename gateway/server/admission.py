"""
Who may send a body is decided from its header, before any of it is kept.

waitress hands a request to the application when its whole body lies on disk: without
this, whoever has no key could fill that disk. It is asked on waitress's only I/O thread:
callers are told apart from memory, with a look at the file of keys once a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.access.breaches import Breaches
from gateway.access.callers import Access, refuse_lent
from gateway.access.origins import Origins
from gateway.server.channel import Channel, JsonErrorTask, Parser, Refusal, listeners_of
from shared.errors import InvalidRequest, LonghandError


class Admission:
    """Whether a caller may send what he is about to send."""

    def __init__(self, access: Access, origins: Origins, breaches: Breaches) -> None:
        self._access = access
        self._origins = origins
        self._breaches = breaches

    def refusal(
        self, method: str, headers: Mapping[str, str], peer: str | None
    ) -> LonghandError | None:
        """
        What a caller is told in place of being listened to; None if he may go on.

        Args:
            headers: As waitress keeps them: `X_API_KEY`.
            peer: The address of the connection.
        """
        named = WaitressHeaders(headers)
        try:
            self._origins.refuse_foreign(method, named)
            caller = self._access.identify(headers=named, peer=peer)
            refuse_lent(caller, self._origins, method, named)
        except LonghandError as error:
            return error
        return self._breaches.refusal(caller, peer)

    def answer_headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """What lets a page of a listed origin read an answer; see `Origins`."""
        return self._origins.answer_headers(headers.get("ORIGIN"))


class WaitressHeaders:
    """
    Headers by their usual names.

    >>> WaitressHeaders({"X_API_KEY": "k"}).get("X-API-Key")
    'k'
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def get(self, key: str, /) -> str | None:
        """The value of a header; None if it was not sent."""
        return self._headers.get(key.upper().replace("-", "_"))


class AdmittingParser(Parser):
    """Ends a request at its header if its caller may not send the rest."""

    admission: Admission
    peer: str | None = None

    def refusal(self) -> Refusal | None:
        """The answer to a request that should go no further; what has no body goes on."""
        if self.content_length > 0 or self.chunked:
            if self.command == "OPTIONS":  # which a proxy may pass on without a password
                return Refusal(InvalidRequest("a request with OPTIONS has no body here"))
            error = self.admission.refusal(self.command, self.headers, self.peer)
            if error is not None:
                return Refusal(error)
        return super().refusal()


class AdmittingErrorTask(JsonErrorTask):
    """Lets pages of listed origins read why they were refused."""

    def execute(self) -> None:
        """Write the answer."""
        headers = self.request.admission.answer_headers(self.request.headers)
        self.response_headers.extend(headers.items())
        super().execute()


class AdmittingChannel(Channel):
    """A connection whose requests know where they come from."""

    site_parser: type[AdmittingParser]

    def parser_class(self, adjustments: Any) -> Parser:  # type: ignore[override]
        """Begin to read a request."""
        parser = self.site_parser(adjustments)
        parser.peer = self.addr[0]
        return parser


def use_admission(server: Any, admission: Admission) -> None:
    """Let a waitress server ask `admission` before it takes a body; after `use_channel`."""
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
