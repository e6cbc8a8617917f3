"""Fetches audio from a URL that a caller names."""

from __future__ import annotations

import logging
import threading
from http.client import HTTPResponse
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import unquote

from werkzeug.http import parse_options_header

from gateway.outward.addresses import Address, AddressRefused, parse_address
from gateway.outward.dialing import Deadline, Dialer, DialFailed, Outgoing, read_some
from gateway.outward.reachable import Resolve, resolve_by_system
from gateway.reading.audio import AudioWriter, too_large
from shared.errors import AudioError, AudioUnreachable, AudioUnreadable, Busy

_FIELD = "url"
_READ_BYTES = 1 << 16
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_RETRY_S = 5
_NOT_OURS = (
    "the host of the URL was not found, or is none that may be fetched from "
    "(LONGHAND_ALLOWED_HOSTS)"
)
"""One sentence for both: callers must not learn which names and addresses there are inside."""

if TYPE_CHECKING:
    from gateway.settings import GatewaySettings

_log = logging.getLogger(__name__)


class Downloader:
    """
    Fetches what callers name, a limited number at a time.

    Args:
        resolve: Finds the addresses of a host.
    """

    def __init__(self, settings: GatewaySettings, *, resolve: Resolve = resolve_by_system) -> None:
        self._timeout_s = settings.download_timeout_s
        self._n_at_once = settings.downloads_at_once
        self._turns = threading.BoundedSemaphore(settings.downloads_at_once)
        self._dialer = Dialer(settings.reachable_hosts, resolve=resolve, ca_file=settings.ca_file)

    def fetch(self, url: str, writer: AudioWriter) -> str:
        """
        Write what is at a URL.

        Returns:
            A filename for it, from the answer's header or the URL's path.

        Raises:
            AudioUnreachable: There is nothing at the URL, or it may not be fetched.
            AudioTooLarge: It is over the limit.
            AudioUnreadable: What is there is empty.
            Busy: Too many downloads are in progress.
        """
        try:
            address = parse_address(url)
        except AddressRefused as error:
            raise AudioUnreachable(f"the URL cannot be fetched: {error}", param=_FIELD) from error
        if not self._turns.acquire(blocking=False):
            raise Busy(
                f"{self._n_at_once} downloads are in progress (LONGHAND_DOWNLOADS_AT_ONCE); "
                "try again, or upload the audio",
                retry_after_s=_RETRY_S,
            )
        try:
            return self._follow(address, writer)
        except AudioError as error:
            error.param = _FIELD
            raise
        finally:
            self._turns.release()

    def _follow(self, address: Address, writer: AudioWriter) -> str:
        """Fetch, and follow redirects."""
        deadline = Deadline(self._timeout_s)
        outgoing = Outgoing(
            {"Accept": "audio/*, video/*, */*;q=0.5", "Accept-Encoding": "identity"}
        )
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                with self._dialer.exchange(address, outgoing, deadline) as answer:
                    location = answer.headers.get("Location")
                    if answer.status not in _REDIRECTS or location is None:
                        return self._receive(address, answer, writer)
                address = address.join(location)
            except AddressRefused as error:
                _log.warning("%s is not fetched: %s", address.place, error)
                raise AudioUnreachable(_NOT_OURS) from error
            except DialFailed as error:
                _refuse(address, str(error))
        _refuse(address, f"it leads on and on, over {_MOST_REDIRECTS} redirects")

    def _receive(self, address: Address, answer: HTTPResponse, writer: AudioWriter) -> str:
        if answer.status != 200:
            _refuse(address, f"it answered {answer.status}")
        if answer.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            _refuse(address, "it answered with a Content-Encoding that was not asked for")
        expected = answer.length
        if expected is not None and expected > writer.limit:
            raise too_large(expected, writer.limit)
        while data := read_some(answer, _READ_BYTES):
            writer.write(data)
        if expected is not None and writer.n_bytes < expected:
            _refuse(address, "it broke off before the end")
        if not writer.n_bytes:
            raise AudioUnreadable("there is nothing at the URL: 0 bytes")
        return _filename(address, answer)


def _refuse(address: Address, why: str) -> NoReturn:
    _log.info("%s: %s", address.place, why)
    raise AudioUnreachable(f"the URL could not be fetched: {why}")


def _filename(address: Address, answer: HTTPResponse) -> str:
    _, options = parse_options_header(answer.headers.get("Content-Disposition", ""))
    path = address.target.partition("?")[0]
    return options.get("filename") or unquote(PurePosixPath(path).name) or "audio"
