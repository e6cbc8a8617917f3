"""Stand-ins for where models are published: a Hub, a package index, a mirror, on one port."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Page:
    """
    What lies at a path.

    Attributes:
        breaks_at: Bytes after which the connection breaks, one number for each time it is asked.
        holds_back: Whether the second half is never sent.
        takes_ranges: Whether it can be taken up in its middle.
        token: What has to be shown, if anything.
    """

    content: bytes
    media_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)
    breaks_at: list[int] = field(default_factory=list)
    holds_back: bool = False
    takes_ranges: bool = True
    token: str = ""
    status: int = 200


class Published:
    """
    A server of pages.

    Attributes:
        pages: What is sent, by path.
        asked: Every path that was asked for, and the range.
        is_halfway: Set when the first half of what is held back is on its way.
    """

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str]] = []
        self.is_halfway = threading.Event()
        self._ending = threading.Event()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop answering: who comes from now on is refused."""
        if not self._ending.is_set():
            self._ending.set()
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def page(self, end: str) -> Page:
        """The page whose path ends so."""
        [found] = [page for path, page in self.pages.items() if path.endswith(end)]
        return found

    def put_repository(
        self, name: str, files: Mapping[str, bytes], *, token: str = "", lfs: str = r".*\.bin"
    ) -> None:
        """
        Publish a repository as the Hub does.

        Args:
            lfs: Which files are told by SHA-256; others are by git's hash.
        """
        siblings = []
        for file, content in files.items():
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            told: dict[str, object] = {"rfilename": file, "size": len(content), "blobId": git}
            if re.fullmatch(lfs, file):
                digest = hashlib.sha256(content).hexdigest()
                told["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 100}
            siblings.append(told)
            self.pages[f"/{name}/resolve/{COMMIT}/{file}"] = Page(content, token=token)
        details = json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode()
        for revision in ("main", COMMIT):
            path = f"/api/models/{name}/revision/{revision}"
            self.pages[path] = Page(details, "application/json", token=token)

    def put_wheel(
        self, package: str, version: str, files: Mapping[str, bytes], *, form: str = "json"
    ) -> Page:
        """Publish a wheel as a package index does, in JSON or HTML; the page of the wheel."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as wheel:
            for path, content in files.items():
                wheel.writestr(path, content)
        name = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
        digest = hashlib.sha256(packed.getvalue()).hexdigest()
        if form == "json":
            file = {"filename": name, "url": f"/files/{name}", "hashes": {"sha256": digest},
                    "size": len(packed.getvalue())}  # fmt: skip
            content = json.dumps({"files": [file]}).encode()
            listed = Page(content, "application/vnd.pypi.simple.v1+json")
        else:
            link = f'<a href="../../files/{name}#sha256={digest}">{name}</a>'
            listed = Page(f"<!DOCTYPE html><html><body>{link}</body></html>".encode(), "text/html")
        self.pages[f"/simple/{package}/"] = listed
        self.pages[f"/files/{name}"] = Page(packed.getvalue())
        return self.pages[f"/files/{name}"]

    def put_mirrored(self, folder: str, files: Mapping[str, bytes], *, sums: bool = True) -> None:
        """Publish a model's folder as an operator's mirror does."""
        for path, content in mirrored(files, sums=sums).items():
            self.pages[f"/mirror/{folder}/{path}"] = Page(content)


def mirrored(files: Mapping[str, bytes], *, sums: bool = True) -> dict[str, bytes]:
    """A model's folder on a mirror."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {file}\n" for file, content in files.items()]
    return {**files, **({"SHA256SUMS": "".join(lines).encode()} if sums else {})}


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write files into a folder; the folder."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, published: Published) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.published = published

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is nothing to be told."""


class _Answers(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        asked = self.headers.get("Range", "")
        self.server.published.asked.append((path, asked))
        page = self.server.published.pages.get(path)
        if page is None:
            self._begin(404, 0)
        elif page.token and not self._shows(page.token):
            self._begin(401, 0)
        elif asked and page.takes_ranges:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            self._begin(206, len(page.content) - start, page)
            self._send(page, page.content[start:])
        else:
            self._begin(page.status, len(page.content), page)
            self._send(page, page.content)

    def _shows(self, token: str) -> bool:
        basic = f"Basic {base64.b64encode(token.encode()).decode()}"
        return self.headers.get("Authorization") in (f"Bearer {token}", basic)

    def _begin(self, status: int, n_bytes: int, page: Page | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(n_bytes))
        if page:
            self.send_header("Content-Type", page.media_type)
            for name, value in page.headers.items():
                self.send_header(name, value)
        self.end_headers()

    def _send(self, page: Page, content: bytes) -> None:
        published = self.server.published
        if page.breaks_at:
            self.wfile.write(content[: page.breaks_at.pop(0)])
            self.wfile.flush()
            self.connection.close()
        elif page.holds_back:
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            published.is_halfway.set()
            published._ending.wait(60)
        else:
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Nothing."""
