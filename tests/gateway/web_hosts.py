"""Hosts for callers' URLs to name: a real HTTP or HTTPS server, and a CA of its own."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from needs import missing


@dataclass
class Request:
    """What a host was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Request, "Reply"], None]


class Reply(BaseHTTPRequestHandler):
    """Hands what comes to the answer of its host."""

    protocol_version = "HTTP/1.1"
    server: Host

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body)
        self.server.requests.append(request)
        self.close_connection = True
        self.server.answer(request, self)

    do_GET = do_POST = _take

    def give(self, body: bytes = b"", status: int = 200, **headers: str) -> None:
        """Answer; names of headers are written with `_` for `-`."""
        self.send_response(status)
        headers.setdefault("Content_Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Host(ThreadingHTTPServer):
    """A server on loopback that notes who connected and what was asked."""

    daemon_threads = True

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Reply)
        self.answer = answer
        self.requests: list[Request] = []
        self.n_connections = 0
        self._tls = tls
        self.port = self.server_address[1]

    def get_request(self):  # type: ignore[no-untyped-def]
        """Count, and speak TLS if that was asked for."""
        connection, peer = super().get_request()
        self.n_connections += 1
        if self._tls is not None:
            connection.settimeout(10)
            connection = self._tls.wrap_socket(connection, server_side=True)
        return connection, peer

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""


@contextmanager
def running(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Host]:
    """A host that answers within the block."""
    host = Host(answer, tls)
    thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield host
    finally:
        host.shutdown()
        host.server_close()
        thread.join(10)


@dataclass
class Names:
    """A resolver: what each name leads to, answer by answer; the last one stays."""

    known: dict[str, list[Sequence[str]]]
    asked: list[str] = field(default_factory=list)

    def __call__(self, name: str, port: int) -> Sequence[str]:
        """Resolve a name."""
        n_before = self.asked.count(name)
        self.asked.append(name)
        answers = self.known.get(name)
        if not answers:
            raise OSError("no such name")
        return answers[min(n_before, len(answers) - 1)]


def certificates(directory: Path, *names: str) -> tuple[Path, ssl.SSLContext]:
    """A CA's certificate, and the TLS of a server that has one from it for these names."""
    if not shutil.which("openssl"):
        missing("no openssl to make a certificate with")

    def openssl(*arguments: object) -> None:
        words = ["openssl", *map(str, arguments)]
        subprocess.run(words, cwd=directory, check=True, capture_output=True)

    fresh = ("req", "-newkey", "rsa:2048", "-nodes", "-days", 2)
    openssl(*fresh, "-x509", "-subj", "/CN=Test CA", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(*fresh, "-subj", "/CN=host", "-keyout", "host.key", "-out", "host.csr")
    named = ",".join(f"DNS:{name}" for name in names)
    (directory / "names").write_text(f"subjectAltName={named}\n")
    signed = ("x509", "-req", "-days", 2, "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial")
    openssl(*signed, "-in", "host.csr", "-out", "host.pem", "-extfile", "names")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(directory / "host.pem", directory / "host.key")
    return directory / "ca.pem", tls
