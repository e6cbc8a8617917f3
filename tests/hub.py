"""The part of the Hugging Face hub that a download uses, on a port of its own."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "Systran/faster-whisper-tiny"


class Hub:
    """
    Serves one repository.

    Attributes:
        files: What is sent, by name.
        truth: What the hub says each file is: to send something else, change `files`.
        holds_back: Whether the second half of `model.bin` is never sent.
        is_halfway: Set when its first half is on its way.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.truth = dict(files)
        self.holds_back = False
        self.is_halfway = threading.Event()
        self._ending = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._answers())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @classmethod
    def of(cls, folder: Path) -> Hub:
        """A hub that has the files of a model folder, and a page on it."""
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".pt"}
        return cls({**files, "README.md": b"not wanted"})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def environment(self, home: Path) -> dict[str, str]:
        """The variables that lead a process here; huggingface_hub reads them when imported."""
        return {"HF_ENDPOINT": self.url, "HF_HOME": str(home)}

    def _details(self) -> dict[str, object]:
        """The answer to `model_info`; large files are told by SHA-256, others by git's hash."""
        siblings = []
        for name, data in self.truth.items():
            git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            file: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": git}
            if name == "model.bin":
                digest = hashlib.sha256(data).hexdigest()
                file["lfs"] = {"sha256": digest, "size": len(data), "pointerSize": 100}
            siblings.append(file)
        return {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}

    def _answers(hub: Self) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Answers(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET(with_body=False)

            def do_GET(self, *, with_body: bool = True) -> None:
                name = self.path.rpartition("/")[2].partition("?")[0]
                if self.path.startswith("/api/"):
                    self._send(json.dumps(hub._details()).encode(), {}, with_body)
                elif name in hub.files:
                    tag = hashlib.sha256(hub.truth[name]).hexdigest()
                    kept = {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT}
                    self._send(hub.files[name], kept, with_body, pauses=name == "model.bin")
                else:
                    self.send_error(404)

            def _send(
                self, data: bytes, headers: dict[str, str], with_body: bool, pauses: bool = False
            ) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                if not with_body:
                    return
                if pauses and hub.holds_back:
                    self.wfile.write(data[: len(data) // 2])
                    self.wfile.flush()
                    hub.is_halfway.set()
                    hub._ending.wait(60)
                    return
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        return Answers
