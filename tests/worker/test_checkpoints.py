"""openai-whisper's own checkpoints: fetched by an address that holds their hash."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shared.catalogue import MODELS
from worker.models.download import fetch_hashed


@pytest.fixture
def published(tmp_path: Path) -> Iterator[Callable[[bytes, bytes], str]]:
    """A function that serves bytes at an address which holds the hash of others."""
    folder = tmp_path / "published"

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:
            pass

    def publish(sent: bytes, hashed: bytes) -> str:
        digest = hashlib.sha256(hashed).hexdigest()
        (folder / digest).mkdir(parents=True)
        (folder / digest / "tiny.pt").write_bytes(sent)
        return f"http://127.0.0.1:{server.server_port}/{digest}/tiny.pt"

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield publish
    server.shutdown()
    serving.join()
    server.server_close()


def test_a_checkpoint_is_held_to_the_hash_in_its_address(
    published: Callable[[bytes, bytes], str], tmp_path: Path
) -> None:
    fetch_hashed(published(b"weights", b"weights"), tmp_path / "tiny.pt", lambda *_: None)

    assert (tmp_path / "tiny.pt").read_bytes() == b"weights"
    with pytest.raises(ValueError, match="tiny.pt does not have the hash in its address"):
        fetch_hashed(published(b"weights", b"others"), tmp_path / "tiny.pt", lambda *_: None)


def test_openai_whisper_publishes_an_address_with_a_hash_for_every_model_said_to_be_its() -> None:
    whisper = pytest.importorskip("whisper")
    named = [entry.openai_name for entry in MODELS.values() if entry.openai_name]

    assert len(named) == 12
    assert [n for n in named if len(whisper._MODELS[n].split("/")[-2]) != 64] == []
