"""
Reads addresses, from a disk or over HTTP.

It gives up soon on a dead host, and continues a download whose connection breaks.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy

from worker.models.manifest import Mark
from worker.models.sources.addresses import path_of
from worker.models.sources.arrivals import Arrivals

CONNECT_S, SILENCE_S = 3.0, 10.0
_MOST_BREAKS = 5
_BLOCK_BYTES = 1 << 14  # if a connection breaks, its last, incomplete block is lost


class SourceFailed(Exception):
    """
    A source has no such model, or cannot be reached; the message says why in one line.

    Args:
        status: The HTTP status that it answered, if it did.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Page:
    """A document; `url` is its address after all redirects."""

    url: str
    media_type: str
    content: bytes


class Web:
    """
    Reads addresses that begin with `http:`, `https:` or `file:`.

    Args:
        ca_file: Certificates to trust beside the system's, or "".
        connect_s: Longest wait for the name to be resolved, and for a connection.
        silence_s: Longest wait for the next byte.
    """

    def __init__(
        self, ca_file: str = "", *, connect_s: float = CONNECT_S, silence_s: float = SILENCE_S
    ) -> None:
        self._connect_s, self._silence_s = connect_s, silence_s
        self._session = requests.Session()
        self._session.headers["User-Agent"] = "longhand"
        # A compressed answer could not be continued in its middle.
        self._session.headers["Accept-Encoding"] = "identity"
        self._session.mount("https://", _SystemTrust(ca_file))

    def read(self, url: str, headers: Mapping[str, str] | None = None) -> Page:
        """
        Read a small document.

        Raises:
            SourceFailed: It is not there, or cannot be reached.
        """
        if url.startswith("file:"):
            return Page(url, "text/html", _read_file(url))
        with self._answer(url, headers or {}) as answer:
            try:
                content = answer.content
            except requests.RequestException as error:
                raise SourceFailed(self._why(error, url)) from error
            media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
            return Page(answer.url, media_type, content)

    def save(
        self,
        url: str,
        target: Path,
        arrivals: Arrivals,
        *,
        n_bytes: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Mark:
        """
        Download a file. If the connection breaks, the download continues from there.

        Args:
            n_bytes: Its size, if that is known and `arrivals` expects it already.

        Raises:
            SourceFailed: The whole file cannot be downloaded.
            NoRoom: The disk is full.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with _Growing(target, arrivals) as growing:
            for _ in range(_MOST_BREAKS):
                n_before = growing.n_bytes
                try:
                    self._append(url, growing, headers or {}, is_expected=n_bytes is not None)
                    break
                except requests.RequestException as error:
                    why = self._why(error, url)
                if growing.n_bytes <= n_before:
                    raise SourceFailed(f"{target.name} broke off at {growing.n_bytes} bytes: {why}")
            else:
                raise SourceFailed(f"{target.name} broke off {_MOST_BREAKS} times")
        mark = growing.mark()
        if n_bytes is not None and mark.n_bytes != n_bytes:
            raise SourceFailed(f"{target.name} has {mark.n_bytes} bytes, not {n_bytes}")
        return mark

    def _append(
        self, url: str, growing: _Growing, headers: Mapping[str, str], *, is_expected: bool
    ) -> None:
        if url.startswith("file:"):
            growing.copy(path_of(url), is_expected=is_expected)
            return
        n_before = growing.n_bytes
        asked = {**headers, "Range": f"bytes={n_before}-"} if n_before else headers
        with self._answer(url, asked) as answer:
            if n_before and answer.status_code != requests.codes.partial_content:
                growing.begin_again()
            elif not n_before and not is_expected:
                growing.arrivals.expect(int(answer.headers.get("Content-Length", 0)))
            for block in answer.iter_content(_BLOCK_BYTES):
                growing.write(block)

    @contextmanager
    def _answer(self, url: str, headers: Mapping[str, str]) -> Iterator[requests.Response]:
        try:
            _find_host(url, self._connect_s)
            answer = self._session.get(
                url,
                headers=dict(headers),
                timeout=(self._connect_s, self._silence_s),
                stream=True,
            )
        except requests.RequestException as error:
            raise SourceFailed(self._why(error, url)) from error
        with answer:
            if not answer.ok:
                status = answer.status_code
                name = urlsplit(url).path.rstrip("/").rpartition("/")[2]
                raise SourceFailed(f"{unquote(name)}: answer {status}", status=status)
            yield answer

    def _why(self, error: requests.RequestException, url: str) -> str:
        """Why a connection failed; without the address, which may hold a password."""
        host = urlsplit(url).hostname
        if isinstance(error, requests.ConnectTimeout):
            return f"no connection to {host} within {self._connect_s:g} s"
        if isinstance(error, requests.Timeout) or "Read timed out" in str(error):
            return f"{host} is silent for {self._silence_s:g} s"
        if isinstance(error, requests.exceptions.SSLError):
            return f"the certificate of {host} is not trusted"
        if isinstance(error, requests.exceptions.ChunkedEncodingError):
            return f"{host} ended the connection"
        if isinstance(error, requests.ConnectionError):
            return f"no connection to {host}: {_root(error)}"
        return f"{host}: {type(error).__name__}"


class _Growing:
    """A file that is written, counted and hashed at the same time."""

    def __init__(self, path: Path, arrivals: Arrivals) -> None:
        self.arrivals = arrivals
        self.n_bytes = 0
        self._out = path.open("wb")
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self.arrivals.room_watched():
            self._out.close()

    def write(self, block: bytes) -> None:
        with self.arrivals.room_watched():
            self._out.write(block)
        self._digest.update(block)
        self.n_bytes += len(block)
        self.arrivals.add(len(block))

    def begin_again(self) -> None:
        self.arrivals.add(-self.n_bytes)
        self._out.seek(0)
        self._out.truncate()
        self._digest, self.n_bytes = hashlib.sha256(), 0

    def copy(self, path: Path, *, is_expected: bool) -> None:
        try:
            with path.open("rb") as source:
                if not is_expected:
                    self.arrivals.expect(path.stat().st_size)
                while block := source.read(_BLOCK_BYTES):
                    self.write(block)
        except OSError as error:
            raise SourceFailed(f"{path.name}: {error.strerror}") from error

    def mark(self) -> Mark:
        return Mark(self.n_bytes, self._digest.hexdigest())


class _SystemTrust(HTTPAdapter):
    """Trusts the certificates that this machine trusts, including those of the site."""

    def __init__(self, ca_file: str) -> None:
        self._context = _trust(ca_file)
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """As `HTTPAdapter` does."""
        super().init_poolmanager(*args, **options, ssl_context=self._context)

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """As `HTTPAdapter` does."""
        return super().proxy_manager_for(*args, **options, ssl_context=self._context)


@cache
def _trust(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        with suppress(OSError):  # a connection that needs the file will fail
            context.load_verify_locations(ca_file)
    return context


def _read_file(url: str) -> bytes:
    path = path_of(url)
    try:
        return (path / "index.html" if path.is_dir() else path).read_bytes()
    except OSError as error:
        raise SourceFailed(f"{path.name}: {error.strerror}") from error


def _find_host(url: str, seconds: float) -> None:
    """
    Resolve a name within some seconds. The system's resolver has no setting for that.

    A resolver that is too slow is left on its thread, and ends by its own timeout.
    """
    proxy = select_proxy(url, get_environ_proxies(url))
    host = urlsplit(proxy or url).hostname
    looking = threading.Thread(target=_look_up, args=(host,), name="resolver", daemon=True)
    looking.start()
    looking.join(seconds)
    if looking.is_alive():
        raise SourceFailed(f"the name {host} is not found within {seconds:g} s")


def _look_up(host: str | None) -> None:
    with suppress(OSError, UnicodeError):  # then the connection will fail too
        socket.getaddrinfo(host, None)


def _root(error: BaseException) -> str:
    """The system's message for the first cause of an error."""
    said = type(error).__name__
    below: BaseException | None = error
    while below:
        said = str(getattr(below, "strerror", None) or said)
        below = below.__cause__ or below.__context__
    return said
