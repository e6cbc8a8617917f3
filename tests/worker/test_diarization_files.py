"""From a pipeline's name to its folder: what is here, what is fetched, and who is not let in."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from shared.catalogue import MODELS
from shared.errors import ModelNotFound
from shared.settings import CHECKOUT
from worker.diarization_files import diarizer_name, locate_pipeline, part_folder, read_config
from worker.models.manifest import check_files

COMMUNITY = "pyannote/speaker-diarization-community-1"
OLDER = "pyannote/speaker-diarization-3.1"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = b"pipeline: {name: pyannote.audio.pipelines.SpeakerDiarization, params: {}}\n"
WEIGHTS = b"weights" * 1000
REPOSITORIES = {
    COMMUNITY: {
        "config.yaml": CONFIG,
        "segmentation/pytorch_model.bin": WEIGHTS,
        "embedding/pytorch_model.bin": WEIGHTS + b"2",
        "plda/plda.npz": b"plda",
        "plda/xvec_transform.npz": b"transform",
        "README.md": b"not wanted",
    },
    OLDER: {"config.yaml": CONFIG},
    "pyannote/segmentation-3.0": {"pytorch_model.bin": WEIGHTS, "config.yaml": b"{}"},
    "pyannote/wespeaker-voxceleb-resnet34-LM": {"pytorch_model.bin": WEIGHTS + b"3"},
}


class Answers(BaseHTTPRequestHandler):
    """What the hub answers; it knows one token."""

    server: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        hub = self.server
        hub.asked.append(self.path)
        path = self.path.partition("?")[0].removeprefix("/api/models").strip("/")
        repository = "/".join(path.split("/")[:2])
        if self.headers.get("Authorization") != "Bearer hf_good":
            self._refuse(401, "RepoNotFound")
        elif repository in hub.closed:
            self._refuse(403, "GatedRepo")
        elif self.path.startswith("/api/"):
            self._send(json.dumps(details(repository)).encode(), {}, with_body)
        else:
            data = REPOSITORIES[repository][path.partition(f"/resolve/{COMMIT}/")[2]]
            tag = f'"{hashlib.sha256(data).hexdigest()}"'
            self._send(hub.broken or data, {"ETag": tag, "X-Repo-Commit": COMMIT}, with_body)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, data: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def details(repository: str) -> dict[str, object]:
    """What the hub tells of a repository."""
    files = []
    for name, data in REPOSITORIES[repository].items():
        lfs = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 100}
        files.append({"rfilename": name, "size": len(data), "lfs": lfs})
    return {"id": repository, "sha": COMMIT, "siblings": files, "tags": [], "downloads": 0}


class Hub(ThreadingHTTPServer):
    """The part of the Hugging Face hub that a download uses."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[str] = []
        self.closed: set[str] = set()
        self.broken = b""
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}).start()

    def close(self) -> None:
        """Stop answering."""
        self.shutdown()
        self.server_close()


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


@pytest.fixture
def fetch(hub: Hub, tmp_path: Path) -> Callable[..., Path]:
    """A function that locates a pipeline with a token."""

    def locate(name: str, token: str | None = "hf_good") -> Path:
        return locate_pipeline(
            name, tmp_path / "models", downloads=True, hf_token=token, endpoint=hub.url
        )

    return locate


def test_a_pipeline_is_fetched_into_the_folder_of_its_name(fetch, tmp_path):
    folder = fetch(COMMUNITY)

    assert folder == tmp_path / "models" / "pyannote--speaker-diarization-community-1"
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    description = json.loads(found.pop("longhand.json"))
    noted = description.pop("files")
    assert description == {"name": COMMUNITY, "revision": COMMIT}
    assert {name: mark["bytes"] for name, mark in noted.items()} == {
        name: len(data) for name, data in found.items()
    }
    assert check_files(folder, hashes=True).state == "ok"
    assert found == {k: v for k, v in REPOSITORIES[COMMUNITY].items() if k != "README.md"}


def test_parts_with_repositories_of_their_own_come_to_lie_beside_it(fetch):
    folder = fetch(OLDER)

    assert (folder / "segmentation" / "pytorch_model.bin").read_bytes() == WEIGHTS
    assert (folder / "embedding" / "pytorch_model.bin").read_bytes() == WEIGHTS + b"3"


def test_a_pipeline_that_is_here_is_not_asked_for(fetch, hub):
    fetch(COMMUNITY)
    hub.asked.clear()

    fetch(COMMUNITY, token=None)

    assert hub.asked == []


@pytest.mark.parametrize(
    ("name", "pages"),
    [
        (COMMUNITY, ["https://huggingface.co/pyannote/speaker-diarization-community-1"]),
        (
            OLDER,
            [
                "https://huggingface.co/pyannote/speaker-diarization-3.1",
                "https://huggingface.co/pyannote/segmentation-3.0",
            ],
        ),
    ],
)
@pytest.mark.parametrize("token", [None, "hf_bad"], ids=["missing", "refused"])
def test_who_has_no_good_token_is_told_which_pages_to_accept(fetch, hub, name, pages, token):
    with pytest.raises(ModelNotFound) as raised:
        fetch(name, token)

    assert all(page in raised.value.message for page in pages)
    assert "LONGHAND_HF_TOKEN" in raised.value.message
    assert len(hub.asked) <= 1  # nothing is tried again and again


def test_conditions_that_are_not_accepted_are_named_before_anything_is_fetched(
    fetch, hub, tmp_path
):
    hub.closed.add("pyannote/segmentation-3.0")

    with pytest.raises(ModelNotFound, match="https://huggingface.co/pyannote/segmentation-3.0"):
        fetch(OLDER)

    assert not any("/resolve/" in path for path in hub.asked)
    assert not list((tmp_path / "models").glob("pyannote--*"))


def test_a_file_that_is_not_what_the_hub_names_is_thrown_away(fetch, hub, tmp_path):
    hub.broken = b"x" * len(WEIGHTS)

    with pytest.raises(ModelNotFound, match="could not be downloaded"):
        fetch(COMMUNITY)

    assert not list((tmp_path / "models").glob("pyannote--*"))


def test_without_a_network_it_fails_and_says_where_to_put_the_files(fetch, hub):
    hub.close()

    with pytest.raises(ModelNotFound, match="'pyannote--speaker-diarization-community-1' below"):
        fetch(COMMUNITY)


def test_with_downloads_off_the_folder_is_named(tmp_path):
    with pytest.raises(ModelNotFound) as raised:
        locate_pipeline(COMMUNITY, tmp_path, downloads=False, hf_token="hf_good")

    assert "'pyannote--speaker-diarization-community-1'" in raised.value.message
    assert "LONGHAND_DOWNLOADS" in raised.value.message


def test_the_demo_pipeline_is_here(tmp_path):
    folder = locate_pipeline("demo-diarization", tmp_path, downloads=False, hf_token=None)

    assert folder == CHECKOUT / "models" / "demo-diarization"


def test_a_folder_of_the_operators_comes_before_what_is_shipped(tmp_path):
    own = tmp_path / "demo-diarization"
    shutil.copytree(CHECKOUT / "models" / "demo-diarization", own)

    found = locate_pipeline("demo-diarization", tmp_path, downloads=False, hf_token=None)

    assert found == own


@pytest.mark.parametrize(
    "chosen", ["../secrets", "/etc", "a/b", ".hidden", "pyannote/elsewhere", "", "..", "x\n"]
)
def test_a_caller_cannot_choose_a_path(chosen):
    with pytest.raises(ModelNotFound, match="is not known"):
        diarizer_name(MODELS["small"], COMMUNITY, chosen)


@pytest.mark.parametrize("chosen", [COMMUNITY, OLDER, "demo-diarization", "our_own.v2"])
def test_a_caller_may_choose_a_pipeline_or_a_folder(chosen):
    assert diarizer_name(MODELS["small"], COMMUNITY, chosen) == chosen


def test_a_folder_that_is_no_pipeline_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("pipeline: {name: os.system}")

    with pytest.raises(ModelNotFound, match="os.system"):
        read_config(tmp_path)


def test_a_pipeline_without_its_parts_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_bytes(CONFIG)

    with pytest.raises(ModelNotFound, match="no segmentation"):
        read_config(tmp_path)


@pytest.mark.parametrize("value", ["$model/../../elsewhere", "$model//etc"])
def test_a_part_lies_in_the_pipelines_own_folder(value):
    with pytest.raises(ModelNotFound, match="leads out"):
        part_folder("embedding", value)
