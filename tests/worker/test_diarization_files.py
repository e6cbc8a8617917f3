"""From a pipeline's name to its folder: what is here, what is fetched, and who is not let in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from published import COMMIT, Published

from shared.catalogue import MODELS
from shared.errors import ModelNotFound
from shared.settings import CHECKOUT
from worker.models.diarization_files import diarizer_name, part_folder, read_config
from worker.models.fetching import Fetching
from worker.models.manifest import check_files
from worker.models.sources.settings import HubSettings, IndexSettings
from worker.models.store import ModelStore

COMMUNITY = "pyannote/speaker-diarization-community-1"
OLDER = "pyannote/speaker-diarization-3.1"
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


@pytest.fixture
def published() -> Iterator[Published]:
    """A Hub that knows one token."""
    with Published() as published:
        for name, files in REPOSITORIES.items():
            published.put_repository(name, files, token="hf_good", lfs=".*")
        yield published


@pytest.fixture
def fetch(published: Published, tmp_path: Path) -> Callable[..., Path]:
    """A function that locates a pipeline with a token."""

    def locate(name: str, token: str = "hf_good") -> Path:
        fetching = Fetching(
            True, token=token, hub=HubSettings(published.url, False), index=IndexSettings(())
        )
        return ModelStore(tmp_path / "models", fetching).locate("diarization model", name)

    return locate


def test_a_pipeline_is_fetched_into_the_folder_of_its_name(fetch, tmp_path):
    folder = fetch(COMMUNITY)

    assert folder == tmp_path / "models" / "pyannote--speaker-diarization-community-1"
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    description = json.loads(found.pop("longhand.json"))
    noted = description.pop("files")
    assert description == {
        "name": COMMUNITY, "revision": COMMIT, "source": "the Hub, checked by the Hub",
    }  # fmt: skip
    assert {name: mark["bytes"] for name, mark in noted.items()} == {
        name: len(data) for name, data in found.items()
    }
    assert check_files(folder, hashes=True).state == "ok"
    assert found == {k: v for k, v in REPOSITORIES[COMMUNITY].items() if k != "README.md"}


def test_parts_with_repositories_of_their_own_come_to_lie_beside_it(fetch):
    folder = fetch(OLDER)

    assert (folder / "segmentation" / "pytorch_model.bin").read_bytes() == WEIGHTS
    assert (folder / "embedding" / "pytorch_model.bin").read_bytes() == WEIGHTS + b"3"


def test_a_pipeline_that_is_here_is_not_asked_for(fetch, published):
    fetch(COMMUNITY)
    published.asked.clear()

    fetch(COMMUNITY, token="")

    assert published.asked == []


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
@pytest.mark.parametrize("token", ["", "hf_bad"], ids=["missing", "refused"])
def test_without_a_valid_token_the_error_names_the_pages_to_accept(
    fetch, published, name, pages, token
):
    with pytest.raises(ModelNotFound) as raised:
        fetch(name, token)

    assert all(page in raised.value.message for page in pages)
    assert "LONGHAND_HF_TOKEN" in raised.value.message
    assert len(published.asked) <= 1  # nothing is tried again and again


def test_conditions_that_are_not_accepted_are_named_before_anything_is_fetched(
    fetch, published, tmp_path
):
    published.put_repository("pyannote/segmentation-3.0", {}, token="hf_other")

    with pytest.raises(ModelNotFound, match="https://huggingface.co/pyannote/segmentation-3.0"):
        fetch(OLDER)

    assert not any("/resolve/" in path for path, _ in published.asked)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_file_that_is_not_what_the_hub_names_is_thrown_away(fetch, published, tmp_path):
    published.page("segmentation/pytorch_model.bin").content = b"x" * len(WEIGHTS)

    with pytest.raises(ModelNotFound, match="could not be fetched"):
        fetch(COMMUNITY)

    assert list((tmp_path / "models").iterdir()) == []


def test_without_a_network_it_fails_and_says_where_to_put_the_files(fetch, published):
    published.close()

    with pytest.raises(ModelNotFound, match="'pyannote--speaker-diarization-community-1' below"):
        fetch(COMMUNITY)


def test_a_pipeline_without_one_of_its_parts_is_completed(fetch, published):
    folder = fetch(OLDER)
    (folder / "embedding" / "pytorch_model.bin").unlink()
    published.asked.clear()

    fetch(OLDER)

    assert (folder / "embedding" / "pytorch_model.bin").read_bytes() == WEIGHTS + b"3"
    sent = [path for path, _ in published.asked if "/resolve/" in path]
    assert [path.partition("/resolve/")[0] for path in sent] == [
        "/pyannote/wespeaker-voxceleb-resnet34-LM"
    ]


def test_with_downloads_off_the_folder_is_named(tmp_path):
    with pytest.raises(ModelNotFound) as raised:
        ModelStore(tmp_path).locate("diarization model", COMMUNITY)

    assert "'pyannote--speaker-diarization-community-1'" in raised.value.message
    assert "LONGHAND_DOWNLOADS" in raised.value.message


def test_the_demo_pipeline_is_here(tmp_path):
    folder = ModelStore(tmp_path).locate("diarization model", "demo-diarization")

    assert folder == CHECKOUT / "models" / "demo-diarization"


def test_a_folder_of_the_operators_comes_before_what_is_shipped(tmp_path):
    own = tmp_path / "demo-diarization"
    shutil.copytree(CHECKOUT / "models" / "demo-diarization", own)

    found = ModelStore(tmp_path).locate("diarization model", "demo-diarization")

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
