"""From a name to files: what is here, and what is fetched, from a hub that speaks its protocol."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shared.errors import ModelNotFound
from shared.settings import CHECKOUT
from worker.models.files import ModelFiles

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b"{}",
    "model.bin": b"weights" * 1000,
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"a\nb\n",
    "README.md": b"not wanted",
}
REPOSITORY = "Systran/faster-whisper-tiny"


class Hub:
    """The part of the Hugging Face hub that a download uses."""

    def __init__(self) -> None:
        self.hashes = {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
        self.asked: list[str] = []
        hub = self

        class Answers(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET(with_body=False)

            def do_GET(self, *, with_body: bool = True) -> None:
                hub.asked.append(self.path)
                name = self.path.rpartition("/")[2].partition("?")[0]
                if self.path.startswith("/api/"):
                    self._send(json.dumps(hub.details()).encode(), {}, with_body)
                elif name in FILES:
                    kept = {"ETag": f'"{hub.hashes[name]}"', "X-Repo-Commit": COMMIT}
                    self._send(FILES[name], kept, with_body)
                else:
                    self.send_error(404)

            def _send(self, data: bytes, headers: dict[str, str], with_body: bool) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                if with_body:
                    self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def details(self) -> dict[str, object]:
        """The answer to `model_info`."""
        siblings = [
            {
                "rfilename": name,
                "size": len(data),
                "lfs": {"sha256": self.hashes[name], "size": len(data), "pointerSize": 100},
            }
            for name, data in FILES.items()
        ]
        return {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings}


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.server.serve_forever)
    thread.start()
    yield hub
    hub.server.shutdown()
    thread.join()
    hub.server.server_close()


def locate(directory: Path, hub_url: str) -> subprocess.CompletedProcess[str]:
    """Locate `tiny` in a process whose hub is ours: the address is read when imported."""
    program = (
        "from pathlib import Path; from worker.models.files import ModelFiles; import sys\n"
        "files = ModelFiles(Path(sys.argv[1]), 'faster_whisper', downloads=True)\n"
        "print(files.locate('tiny')); print(files.revision('tiny'))"
    )
    env = {**os.environ, "HF_ENDPOINT": hub_url, "HF_HOME": str(directory / "cache")}
    return subprocess.run(
        [sys.executable, "-c", program, str(directory / "models")],
        env=env,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def folders_in(directory: Path) -> list[str]:
    """What lies in a directory but the locks of those who downloaded."""
    return [path.name for path in directory.iterdir() if path.is_dir()]


def test_a_missing_model_is_downloaded_verified_and_named_by_its_commit(
    hub: Hub, tmp_path: Path
) -> None:
    found = locate(tmp_path, hub.url)

    folder = tmp_path / "models" / "tiny"
    assert found.stdout.split() == [str(folder), COMMIT], found.stderr
    assert (folder / "model.bin").read_bytes() == FILES["model.bin"]
    assert not (folder / "README.md").exists()
    assert folders_in(tmp_path / "models") == ["tiny"]


def test_a_download_with_another_hash_is_refused_and_leaves_nothing(
    hub: Hub, tmp_path: Path
) -> None:
    hub.hashes["model.bin"] = "0" * 64

    found = locate(tmp_path, hub.url)

    assert "ModelNotFound: model 'tiny' could not be downloaded" in found.stderr
    assert "LONGHAND_MODELS_DIR" in found.stderr
    assert folders_in(tmp_path / "models") == []


def test_without_a_hub_the_error_names_the_model_and_what_to_do(tmp_path: Path) -> None:
    files = ModelFiles(tmp_path, "faster_whisper", downloads=False)

    with pytest.raises(ModelNotFound, match="'large-v3' is not on this worker.*LONGHAND_DOWNLOADS"):
        files.locate("large-v3")


def test_a_folder_put_there_by_hand_is_found(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "model.bin").write_bytes(b"weights")
    files = ModelFiles(tmp_path, "faster_whisper", downloads=False)

    assert files.locate("small") == tmp_path / "small"
    assert "small" in files.local_names()


@pytest.mark.parametrize("engine", ["faster_whisper", "openai_whisper"])
def test_the_model_that_ships_is_there_for_every_engine(
    engine: str, tmp_path: Path, demo_model: Path
) -> None:
    files = ModelFiles(tmp_path, engine, downloads=False)

    assert files.locate("demo") == demo_model
    assert files.local_names() == ["demo"]
    assert len(files.revision("demo")) == 12
