"""From a name to what an engine reads: what is here, fetched, converted, checked and removed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from published import COMMIT, Published

from shared.errors import InvalidRequest, ModelNotFound
from worker.models.fetching import Fetching
from worker.models.folders import move_in
from worker.models.listing import list_models, named_files
from worker.models.manifest import DESCRIPTION_FILE, Checked, describe
from worker.models.sources.settings import HubSettings, IndexSettings
from worker.models.store import ModelStore
from worker.models.whisper_files import WhisperFiles
from worker.models.whisper_models import WhisperModels

FILES = {
    "config.json": b"{}",
    "model.bin": b"weights" * 1000,
    "tokenizer.json": b"{ }",
    "vocabulary.txt": b"a\nb\n",
    "README.md": b"not wanted",
}
WHOLE = {
    "model_bin": b"weights",
    "config_json": b"{}",
    "tokenizer_json": b"{}",
    "vocabulary_txt": b"",
}
REPOSITORY = "Systran/faster-whisper-tiny"


@pytest.fixture
def published() -> Iterator[Published]:
    with Published() as published:
        published.put_repository(REPOSITORY, FILES)
        yield published


@pytest.fixture
def files(tmp_path: Path) -> WhisperModels:
    """The files of a site that downloads nothing."""
    return WhisperModels(ModelStore(tmp_path / "models"))


@pytest.fixture
def online(tmp_path: Path, published: Published) -> WhisperModels:
    """The files of a site that has one Hub."""
    fetching = Fetching(True, hub=HubSettings(published.url, False), index=IndexSettings(()))
    return WhisperModels(ModelStore(tmp_path / "models", fetching))


@pytest.fixture
def put(tmp_path: Path) -> Callable[..., Path]:
    """A function that puts a folder of files where models are."""

    def put(name: str, **contents: bytes) -> Path:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in contents.items():
            (folder / file.replace("_", ".")).write_bytes(content)
        return folder

    return put


def verify(files: WhisperModels, name: str) -> Checked:
    return files.store.verify(WhisperFiles(name))


def found_in(directory: Path) -> list[str]:
    """What lies in a directory."""
    return sorted(path.name for path in directory.iterdir())


def test_a_missing_model_is_downloaded_verified_and_named_by_its_commit(
    online: WhisperModels, tmp_path: Path
) -> None:
    folder = online.store.locate("model", "tiny")

    assert folder == tmp_path / "models" / "tiny"
    assert (online.revision("tiny"), verify(online, "tiny").state) == (COMMIT, "ok")
    assert {p.name for p in folder.iterdir()} == FILES.keys() - {"README.md"} | {DESCRIPTION_FILE}
    assert (folder / "model.bin").read_bytes() == FILES["model.bin"]
    assert json.loads((folder / DESCRIPTION_FILE).read_text())["files"]["model.bin"] == {
        "bytes": 7000,
        "sha256": hashlib.sha256(FILES["model.bin"]).hexdigest(),
    }
    assert found_in(tmp_path / "models") == ["tiny"]


@pytest.mark.parametrize("file", ["model.bin", "tokenizer.json"])
def test_a_file_that_was_spoilt_on_the_way_is_refused_and_nothing_is_left(
    online: WhisperModels, published: Published, tmp_path: Path, file: str
) -> None:
    page = published.page(file)
    page.content = page.content[:-1] + b"?"

    with pytest.raises(ModelNotFound) as refused:
        online.store.locate("model", "tiny")

    assert "model 'tiny' could not be fetched" in refused.value.message
    assert f"(the Hub: {file} does not have the hash it should have)" in refused.value.message
    assert "LONGHAND_MODELS_DIR" in refused.value.message
    assert found_in(tmp_path / "models") == []


def test_a_repository_without_weights_is_no_model(
    online: WhisperModels, published: Published, tmp_path: Path
) -> None:
    published.put_repository(REPOSITORY, {"config.json": b"{}", "tokenizer.json": b"{}"})

    with pytest.raises(ModelNotFound, match=r"the Hub: it has no model.bin, vocabulary.\*"):
        online.store.locate("model", "tiny")
    assert found_in(tmp_path / "models") == []


def test_half_of_a_download_is_no_model(files: WhisperModels, put: Callable[..., Path]) -> None:
    put(".small.part", model_bin=b"half", config_json=b"{}")

    assert "small" not in files.local_revisions()
    assert "small" not in [model.name for model in list_models(files)]


@pytest.mark.parametrize("lost", ["model_bin", "config_json", "tokenizer_json", "vocabulary_txt"])
def test_a_model_that_lacks_a_file_is_incomplete_and_never_offered(
    files: WhisperModels, put: Callable[..., Path], lost: str
) -> None:
    put("small", **{file: content for file, content in WHOLE.items() if file != lost})
    [listed] = [model for model in list_models(files) if model.name == "small"]

    assert "small" not in files.local_revisions()
    assert (listed.state, listed.engines) == ("incomplete", ())
    assert verify(files, "small").state == "incomplete"
    pattern = lost.replace("_txt", ".*").replace("_", ".")
    assert listed.problems[0] == f"{pattern} is missing, without which it is of no use"
    with pytest.raises(ModelNotFound, match=f"lacks {pattern} on this worker and LONGHAND_DOW"):
        files.store.locate("model", "small")


def test_a_model_of_128_mels_is_incomplete_without_the_file_that_says_so(
    files: WhisperModels, put: Callable[..., Path]
) -> None:
    put("large-v3", **WHOLE)
    put("large-v2", **WHOLE)

    assert verify(files, "large-v3").problems[0].startswith("preprocessor_config.json is missing")
    assert "large-v2" in files.local_revisions()


def test_an_incomplete_model_is_completed(
    online: WhisperModels, published: Published, put: Callable[..., Path]
) -> None:
    folder = put("tiny", model_bin=FILES["model.bin"], config_json=b"{}")

    online.store.pull(online.store.files_of("model", "tiny"))

    assert verify(online, "tiny").state == "ok"
    assert online.revision("tiny") == COMMIT
    assert (folder / "tokenizer.json").read_bytes() == FILES["tokenizer.json"]
    assert f"/{REPOSITORY}/resolve/{COMMIT}/model.bin" not in dict(published.asked)


def test_without_downloads_the_error_names_the_model_and_what_to_do(files: WhisperModels) -> None:
    with pytest.raises(ModelNotFound, match="'large-v3' is not on this worker.*LONGHAND_DOWNLOADS"):
        files.store.locate("model", "large-v3")


def test_a_folder_put_there_by_hand_is_found_and_never_called_whole(
    files: WhisperModels, put: Callable[..., Path]
) -> None:
    folder = put("small", **WHOLE)

    assert files.store.locate("model", "small") == folder
    assert "small" in files.local_revisions()
    assert verify(files, "small").state == "unverified"
    assert files.revision("small") == ""
    assert [(m.name, m.state) for m in list_models(files)] == [
        ("demo", "complete"),
        ("small", "unverified"),
        ("demo-aligner-en", "complete"),
        ("demo-diarization", "complete"),
    ]


def test_a_changed_a_shorter_and_a_missing_file_are_told(
    files: WhisperModels, put: Callable[..., Path]
) -> None:
    folder = put("tiny", **WHOLE, notes_txt=b"notes")
    describe(folder, "tiny", COMMIT)
    assert verify(files, "tiny").state == "ok"

    put("tiny", model_bin=b"Weights", config_json=b"{")
    (folder / "notes.txt").unlink()
    found = verify(files, "tiny")

    assert found.state == "damaged"
    assert found.problems == (
        "config.json has 1 bytes, not 2",
        "model.bin has another hash than when it was downloaded",
        "notes.txt is missing",
    )


def test_a_file_laid_beside_downloaded_ones_is_not_vouched_for(
    files: WhisperModels, put: Callable[..., Path]
) -> None:
    folder = put("tiny", **WHOLE)
    describe(folder, "tiny", COMMIT)
    put("tiny", tiny_pt=b"checkpoint")

    assert verify(files, "tiny").state == "unverified"
    assert verify(files, "tiny").problems[0].startswith("tiny.pt was put there by hand")


def test_a_description_that_cannot_be_read_is_damage_not_a_crash(
    files: WhisperModels, put: Callable[..., Path]
) -> None:
    folder = put("tiny", **WHOLE)
    (folder / DESCRIPTION_FILE).write_text('{"files": ["model.bin"]}')

    assert verify(files, "tiny").state == "damaged"
    assert files.revision("tiny") == ""


@pytest.mark.parametrize("engine", ["faster_whisper", "openai_whisper"])
def test_the_model_that_ships_is_whole_for_every_engine(
    engine: str, tmp_path: Path, demo_model: Path
) -> None:
    files = WhisperModels(ModelStore(tmp_path, engine=engine))
    listed = list_models(files)[0]

    assert files.store.locate("model", "demo") == demo_model
    assert list(files.local_revisions()) == ["demo"]
    assert len(files.revision("demo")) == 12
    assert verify(files, "demo").state == "ok"
    assert (listed.name, listed.where, listed.state) == ("demo", demo_model, "complete")
    assert {"faster_whisper", "openai_whisper"} <= set(listed.engines)
    assert listed.n_bytes == sum(
        path.stat().st_size
        for path in demo_model.iterdir()
        if path.suffix != ".md" and path.name != DESCRIPTION_FILE
    )


def test_the_revision_of_each_local_model_is_told_and_follows_its_description(
    files: WhisperModels, put: Callable[..., Path]
) -> None:
    folder = put("tiny", **WHOLE)
    put("base", **WHOLE)
    unnoted = files.local_revisions()["tiny"]
    describe(folder, "tiny", "first")
    first = files.local_revisions()["tiny"]
    describe(folder, "tiny", "another")
    found = files.local_revisions()

    assert (unnoted, first) == ("", "first")
    assert found == {"tiny": "another", "base": "", "demo": files.revision("demo")}


def test_removing_a_model_takes_its_files_and_nothing_else(
    files: WhisperModels, put: Callable[..., Path], tmp_path: Path
) -> None:
    put("tiny", model_bin=b"weights")
    other = put("base", model_bin=b"weights")

    files.store.remove(WhisperFiles("tiny"))

    assert found_in(tmp_path / "models") == ["base"]
    assert (other / "model.bin").is_file()


def test_of_a_linked_model_the_link_is_removed(
    files: WhisperModels, put: Callable[..., Path], tmp_path: Path
) -> None:
    put("base", model_bin=b"weights").rename(tmp_path / "elsewhere")
    (tmp_path / "models" / "base").symlink_to(tmp_path / "elsewhere")

    files.store.remove(WhisperFiles("base"))

    assert (tmp_path / "elsewhere" / "model.bin").is_file()
    assert list(files.local_revisions()) == ["demo"]


def test_what_ships_stays(demo_model: Path, tmp_path: Path) -> None:
    theirs = ModelStore(demo_model.parent)
    others = ModelStore(tmp_path)

    with pytest.raises(InvalidRequest, match="'demo' ships with Longhand and stays"):
        theirs.remove(WhisperFiles("demo"))
    with pytest.raises(ModelNotFound, match=f"no model 'demo' in {tmp_path}; {demo_model} is not"):
        others.remove(WhisperFiles("demo"))
    assert (demo_model / "model.bin").is_file()


@pytest.mark.parametrize("name", ["..", "../outside", "/etc", ".", "gpt", "house"])
def test_what_is_no_name_of_a_model_reaches_no_file(
    files: WhisperModels, tmp_path: Path, name: str
) -> None:
    (tmp_path / "outside").mkdir()

    with pytest.raises(ModelNotFound, match="is not in the catalogue"):
        named_files(name, files, may_be_new=True)
    if name not in ("gpt", "house"):
        for refusing in (files.store.remove, files.store.verify, files.store.pull):
            with pytest.raises(ModelNotFound, match="is no name of a model"):
                refusing(WhisperFiles(name))
    assert (tmp_path / "outside").is_dir()


def test_a_second_engines_files_join_the_first_and_each_has_its_revision(
    tmp_path: Path, put: Callable[..., Path]
) -> None:
    folder = put("tiny", **WHOLE)
    describe(folder, "tiny", COMMIT)
    part = put(".tiny.part", tiny_pt=b"checkpoint")
    describe(part, "tiny", "ignored")

    move_in(part, folder)

    digest = hashlib.sha256(b"checkpoint").hexdigest()
    by_engine = {
        engine: WhisperModels(ModelStore(tmp_path / "models", engine=engine))
        for engine in ("faster_whisper", "openai_whisper")
    }
    assert by_engine["faster_whisper"].revision("tiny") == COMMIT
    assert by_engine["openai_whisper"].revision("tiny") == digest[:12]
    assert by_engine["openai_whisper"].store.locate("model", "tiny") == folder / "tiny.pt"
    assert verify(by_engine["openai_whisper"], "tiny").state == "ok"
    assert by_engine["openai_whisper"].weights_bytes("tiny") == len(b"checkpoint")
