"""From a name to files: what is here, what is fetched from a hub, what is checked and removed."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub import COMMIT, Hub

from shared.errors import InvalidRequest, ModelNotFound
from shared.settings import CHECKOUT
from worker.models.files import ModelFiles, move_in
from worker.models.manifest import DESCRIPTION_FILE, describe

FILES = {
    "config.json": b"{}",
    "model.bin": b"weights" * 1000,
    "tokenizer.json": b"{ }",
    "vocabulary.txt": b"a\nb\n",
    "README.md": b"not wanted",
}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub(FILES) as hub:
        yield hub


@pytest.fixture
def files(tmp_path: Path) -> ModelFiles:
    """The files of a site that downloads nothing."""
    return ModelFiles(tmp_path / "models", "faster_whisper", downloads=False)


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


def locate(directory: Path, hub: Hub) -> subprocess.CompletedProcess[str]:
    """Locate `tiny` in a process whose hub is ours: the address is read when imported."""
    program = (
        "from pathlib import Path; from worker.models.files import ModelFiles; import sys\n"
        "files = ModelFiles(Path(sys.argv[1]), 'faster_whisper', downloads=True)\n"
        "print(files.locate('tiny')); print(files.revision('tiny'))\n"
        "print(files.verify('tiny').state)"
    )
    return subprocess.run(
        [sys.executable, "-c", program, str(directory / "models")],
        env=os.environ | hub.environment(directory / "cache"),
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
    found = locate(tmp_path, hub)

    folder = tmp_path / "models" / "tiny"
    assert found.stdout.split() == [str(folder), COMMIT, "ok"], found.stderr
    assert {p.name for p in folder.iterdir()} == FILES.keys() - {"README.md"} | {DESCRIPTION_FILE}
    assert (folder / "model.bin").read_bytes() == FILES["model.bin"]
    assert json.loads((folder / DESCRIPTION_FILE).read_text())["files"]["model.bin"] == {
        "bytes": 7000,
        "sha256": hashlib.sha256(FILES["model.bin"]).hexdigest(),
    }
    assert folders_in(tmp_path / "models") == ["tiny"]


@pytest.mark.parametrize("file", ["model.bin", "tokenizer.json"])
def test_a_file_that_was_spoilt_on_the_way_is_refused_and_nothing_is_left(
    hub: Hub, tmp_path: Path, file: str
) -> None:
    hub.files[file] = hub.files[file][:-1] + b"?"

    found = locate(tmp_path, hub)

    assert "ModelNotFound: model 'tiny' could not be downloaded" in found.stderr
    assert f"({file} does not have the hash the hub gives)" in found.stderr
    assert "LONGHAND_MODELS_DIR" in found.stderr
    assert folders_in(tmp_path / "models") == []


def test_a_repository_without_weights_is_no_model(hub: Hub, tmp_path: Path) -> None:
    del hub.truth["model.bin"]

    found = locate(tmp_path, hub)

    assert "has no model.bin" in found.stderr
    assert folders_in(tmp_path / "models") == []


def test_half_of_a_download_is_no_model(files: ModelFiles, put: Callable[..., Path]) -> None:
    put(".small.part", model_bin=b"half", config_json=b"{}")

    assert "small" not in list(files.local_revisions())
    assert [model.name for model in files.stored()] == ["demo"]


def test_without_downloads_the_error_names_the_model_and_what_to_do(files: ModelFiles) -> None:
    with pytest.raises(ModelNotFound, match="'large-v3' is not on this worker.*LONGHAND_DOWNLOADS"):
        files.locate("large-v3")


def test_a_folder_put_there_by_hand_is_found_and_never_called_whole(
    files: ModelFiles, put: Callable[..., Path]
) -> None:
    folder = put("small", model_bin=b"weights")

    assert files.locate("small") == folder
    assert "small" in list(files.local_revisions())
    assert files.verify("small").state == "unverified"
    assert files.revision("small") == ""
    assert [(m.name, m.state) for m in files.stored()] == [
        ("demo", "complete"),
        ("small", "unverified"),
    ]


def test_a_changed_a_shorter_and_a_missing_file_are_told(
    files: ModelFiles, put: Callable[..., Path]
) -> None:
    folder = put("tiny", model_bin=b"weights", config_json=b"{}", tokenizer_json=b"{}")
    describe(folder, "tiny", COMMIT)
    assert files.verify("tiny").state == "ok"

    put("tiny", model_bin=b"Weights", config_json=b"{")
    (folder / "tokenizer.json").unlink()
    found = files.verify("tiny")

    assert found.state == "damaged"
    assert found.problems == (
        "config.json has 1 bytes, not 2",
        "model.bin has another hash than when it was downloaded",
        "tokenizer.json is missing",
    )


def test_a_file_laid_beside_downloaded_ones_is_not_vouched_for(
    files: ModelFiles, put: Callable[..., Path]
) -> None:
    folder = put("tiny", model_bin=b"weights")
    describe(folder, "tiny", COMMIT)
    put("tiny", tiny_pt=b"checkpoint")

    assert files.verify("tiny").state == "unverified"
    assert files.verify("tiny").problems[0].startswith("tiny.pt was put there by hand")


def test_a_description_that_cannot_be_read_is_damage_not_a_crash(
    files: ModelFiles, put: Callable[..., Path]
) -> None:
    folder = put("tiny", model_bin=b"weights")
    (folder / DESCRIPTION_FILE).write_text('{"files": ["model.bin"]}')

    assert files.verify("tiny").state == "damaged"
    assert files.revision("tiny") == ""


@pytest.mark.parametrize("engine", ["faster_whisper", "openai_whisper"])
def test_the_model_that_ships_is_whole_for_every_engine(
    engine: str, tmp_path: Path, demo_model: Path
) -> None:
    files = ModelFiles(tmp_path, engine, downloads=False)
    [listed] = files.stored()

    assert files.locate("demo") == demo_model
    assert list(files.local_revisions()) == ["demo"]
    assert len(files.revision("demo")) == 12
    assert files.verify("demo").state == "ok"
    assert (listed.name, listed.where, listed.state) == ("demo", demo_model, "complete")
    assert {"faster_whisper", "openai_whisper"} <= set(listed.engines)
    assert listed.n_bytes == sum(
        path.stat().st_size
        for path in demo_model.iterdir()
        if path.suffix != ".md" and path.name != DESCRIPTION_FILE
    )


def test_the_revision_of_each_local_model_is_told_and_follows_its_description(
    files: ModelFiles, put: Callable[..., Path]
) -> None:
    folder = put("tiny", model_bin=b"weights")
    put("base", model_bin=b"weights")
    unnoted = files.local_revisions()["tiny"]
    describe(folder, "tiny", "first")
    first = files.local_revisions()["tiny"]
    describe(folder, "tiny", "another")
    found = files.local_revisions()

    assert (unnoted, first) == ("", "first")
    assert found == {"tiny": "another", "base": "", "demo": files.revision("demo")}


def test_removing_a_model_takes_its_files_and_nothing_else(
    files: ModelFiles, put: Callable[..., Path], tmp_path: Path
) -> None:
    put("tiny", model_bin=b"weights")
    other = put("base", model_bin=b"weights")

    files.remove("tiny")

    assert folders_in(tmp_path / "models") == ["base"]
    assert (other / "model.bin").is_file()


def test_of_a_linked_model_the_link_is_removed(
    files: ModelFiles, put: Callable[..., Path], tmp_path: Path
) -> None:
    put("base", model_bin=b"weights").rename(tmp_path / "elsewhere")
    (tmp_path / "models" / "base").symlink_to(tmp_path / "elsewhere")

    files.remove("base")

    assert (tmp_path / "elsewhere" / "model.bin").is_file()
    assert list(files.local_revisions()) == ["demo"]


def test_what_ships_stays(demo_model: Path, tmp_path: Path) -> None:
    theirs = ModelFiles(demo_model.parent, "faster_whisper", downloads=False)
    others = ModelFiles(tmp_path, "faster_whisper", downloads=False)

    with pytest.raises(InvalidRequest, match="'demo' ships with Longhand and stays"):
        theirs.remove("demo")
    with pytest.raises(ModelNotFound, match=f"no model 'demo' in {tmp_path}; {demo_model} is not"):
        others.remove("demo")
    assert (demo_model / "model.bin").is_file()


@pytest.mark.parametrize("name", ["..", "../outside", "/etc", "", ".", "demo-aligner-en"])
def test_what_is_no_name_of_a_model_reaches_no_file(
    files: ModelFiles, tmp_path: Path, name: str
) -> None:
    (tmp_path / "outside").mkdir()

    for refusing in (files.remove, files.verify, files.pull):
        with pytest.raises(ModelNotFound, match="is not in the catalogue"):
            refusing(name)
    assert (tmp_path / "outside").is_dir()


def test_a_second_engines_files_join_the_first_and_each_has_its_revision(
    tmp_path: Path, put: Callable[..., Path]
) -> None:
    folder = put("tiny", model_bin=b"weights", config_json=b"{}")
    describe(folder, "tiny", COMMIT)
    part = put(".tiny.part", tiny_pt=b"checkpoint")
    describe(part, "tiny", "ignored")

    move_in(part, folder)

    digest = hashlib.sha256(b"checkpoint").hexdigest()
    by_engine = {
        engine: ModelFiles(tmp_path / "models", engine, downloads=False)
        for engine in ("faster_whisper", "openai_whisper")
    }
    assert by_engine["faster_whisper"].revision("tiny") == COMMIT
    assert by_engine["openai_whisper"].revision("tiny") == digest[:12]
    assert by_engine["openai_whisper"].locate("tiny") == folder / "tiny.pt"
    assert by_engine["openai_whisper"].verify("tiny").state == "ok"
    assert by_engine["openai_whisper"].weights_bytes("tiny") == len(b"checkpoint")


def test_a_model_openai_whisper_does_not_have_is_refused_by_name(tmp_path: Path) -> None:
    files = ModelFiles(tmp_path, "openai_whisper", downloads=True)

    with pytest.raises(ModelNotFound, match="'distil-whisper-small.en'.*has no such model"):
        files.pull("distil-whisper-small.en")
    assert folders_in(tmp_path) == []
