"""
One HTTP exchange with a host that a caller named, within a fixed time.

The connection goes to an address that was checked, and not to the name, which may resolve to
another address by now. The certificate and the `Host` header are still those of the name. Proxies
of the environment are not used, and redirects are not followed.
"""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path

from gateway.outward.addresses import Address, AddressRefused, IPAddress
from gateway.outward.reachable import AllowedHosts, Resolve, find_addresses, resolve_by_system
from shared.starting import naming

_RESOLVE_S = 10.0
_CONNECT_S = 10.0
_SILENCE_S = 60.0
"""How long a host may send nothing."""

_MOST_ADDRESSES = 4


class DialFailed(Exception):
    """There was no answer, or a broken one. The message may be shown to the caller."""


class Deadline:
    """A point in time at which every wait ends."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at = time.monotonic() + seconds

    def left_s(self, most: float = _SILENCE_S) -> float:
        """
        Seconds left, at most `most`.

        Raises:
            DialFailed: No time is left.
        """
        left = self._at - time.monotonic()
        if left <= 0:
            raise DialFailed(f"it took longer than {self._seconds:g} s")
        return min(left, most)


@dataclass(frozen=True)
class Outgoing:
    """What is sent: a POST if it has a body, else a GET."""

    headers: Mapping[str, str]
    body: bytes | None = None


class Dialer:
    """
    Connects to public hosts, and to those that the operator allows.

    Args:
        resolve: Finds the addresses of a name.
        ca_file: Certificates (PEM) to trust beside the system's own.
    """

    def __init__(
        self,
        allowed: AllowedHosts,
        *,
        resolve: Resolve = resolve_by_system,
        ca_file: Path | None = None,
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._tls = ssl.create_default_context()
        if ca_file is not None:
            with naming("LONGHAND_CA_FILE", ca_file):
                self._tls.load_verify_locations(ca_file)

    @contextmanager
    def exchange(
        self, address: Address, outgoing: Outgoing, deadline: Deadline
    ) -> Iterator[HTTPResponse]:
        """
        Send a request and yield its answer, whose body is to be read within the block.

        Raises:
            AddressRefused: The host may not be called. No connection was made.
            DialFailed: It cannot be reached, is too slow, or does not speak HTTP.
        """
        found = self._find(address, deadline)
        connected = self._connect(address, found, deadline)
        try:
            connection = HTTPConnection(address.host, address.port)
            # It must not open another socket: that one would connect to the name.
            connection.auto_open = 0
            connection.sock = _Socket(connected, deadline)
            with _translating():
                connection.request(
                    "GET" if outgoing.body is None else "POST",
                    address.target,
                    outgoing.body,
                    {"Host": address.netloc, "User-Agent": "Longhand", **outgoing.headers},
                )
                answer = connection.getresponse()
            yield answer
        finally:
            connected.close()

    def _find(self, address: Address, deadline: Deadline) -> list[IPAddress]:
        """
        The checked addresses of a host.

        The system's resolver cannot be interrupted. If it is late we do not wait: it goes on, on
        its own thread, until it ends by itself.

        Raises:
            AddressRefused: The host is not found in time, or may not be called.
        """
        if address.ip:
            return find_addresses(address, self._allowed, self._resolve)
        found: Future[list[IPAddress]] = Future()

        def find() -> None:
            try:
                found.set_result(find_addresses(address, self._allowed, self._resolve))
            except BaseException as error:
                found.set_exception(error)

        left_s = deadline.left_s(_RESOLVE_S)
        threading.Thread(target=find, name="resolver", daemon=True).start()
        try:
            return found.result(left_s)
        except TimeoutError as error:
            raise AddressRefused("its host is not found in time") from error

    def _connect(
        self, address: Address, found: list[IPAddress], deadline: Deadline
    ) -> socket.socket:
        plain = None
        with _translating():
            for ip in found[:_MOST_ADDRESSES]:
                with suppress(OSError):
                    place = (str(ip), address.port)
                    plain = socket.create_connection(place, deadline.left_s(_CONNECT_S))
                    break
            if plain is None:
                raise DialFailed("it cannot be connected to")
            if address.scheme == "http":
                return plain
            try:
                plain.settimeout(deadline.left_s(_CONNECT_S))
                return self._tls.wrap_socket(plain, server_hostname=address.host)
            except BaseException:
                plain.close()
                raise


@contextmanager
def _translating() -> Iterator[None]:
    """Turn the errors of sockets, TLS and HTTP into `DialFailed`."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise DialFailed(f"its certificate is not trusted ({error.verify_message})") from error
    except TimeoutError as error:
        raise DialFailed("it was silent for too long") from error
    except (OSError, HTTPException, ValueError) as error:
        raise DialFailed("it broke the connection off, or does not speak HTTP") from error


def read_some(answer: HTTPResponse, n_bytes: int) -> bytes:
    """
    Read a part of an answer's body; nothing at its end.

    Raises:
        DialFailed: The host is too slow, or broke the connection off.
    """
    with _translating():
        return answer.read(n_bytes)


class _Socket:
    """The part of a socket that `http.client` uses; each of its waits ends at the deadline."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._connected = connected
        self._deadline = deadline

    def sendall(self, sent: bytes) -> None:
        self._connected.settimeout(self._deadline.left_s())
        self._connected.sendall(sent)

    def makefile(self, mode: str) -> io.BufferedReader:
        assert mode == "rb"
        return io.BufferedReader(_Received(self._connected, self._deadline))

    def close(self) -> None:
        """Do nothing: `exchange` closes the connection."""


class _Received(io.RawIOBase):
    """The bytes of a socket. The deadline also ends a host that sends a byte now and then."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        self._connected = connected
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._connected.settimeout(self._deadline.left_s())
        return self._connected.recv_into(buffer)
