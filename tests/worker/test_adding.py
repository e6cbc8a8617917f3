"""Models of an operator's own: from each form they come in, tried out, and named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from published import write_files
from small_disk import small_disk
from spoken import transcribe_here

from shared.catalogue import MODELS
from shared.errors import InvalidRequest
from shared.settings import CHECKOUT
from worker.engines.compact import COMPACT_FILE, expand
from worker.models.adding import add_model
from worker.models.store import ModelStore
from worker.models.whisper_models import WhisperModels
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings

SAMPLE = CHECKOUT / "samples" / "demo.wav"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture(scope="module")
def ctranslate2(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of CTranslate2: the demo's files, without what Longhand notes of them."""
    folder = tmp_path_factory.mktemp("made") / "medical"
    folder.mkdir()
    for path in demo_model.iterdir():
        if path.suffix in (".bin", ".json") and path.name != "longhand.json":
            shutil.copyfile(path, folder / path.name)
    return folder


@pytest.fixture(scope="module")
def checkpoint(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a checkpoint of openai-whisper."""
    import torch

    path = tmp_path_factory.mktemp("made") / "medical.pt"
    torch.save(expand(demo_model / COMPACT_FILE), path)
    return path


@pytest.fixture
def transformers(checkpoint: Path, tmp_path: Path) -> Path:
    """The same as transformers writes it, in two files and without a tokenizer."""
    import torch
    from safetensors.torch import save_file

    from models.training.demo_model.export import _rename

    stored = torch.load(checkpoint, weights_only=True)
    dims = stored["dims"]
    weights = {f"model.{_rename(name)}": t.half() for name, t in stored["model_state_dict"].items()}
    weights["proj_out.weight"] = weights["model.decoder.embed_tokens.weight"].clone()
    folder = tmp_path / "fine-tuned"
    folder.mkdir()
    for side in ("encoder", "decoder"):
        part = {
            name: tensor
            for name, tensor in weights.items()
            if (".encoder." in name) == (side == "encoder")
        }
        save_file(part, folder / f"model-{side}.safetensors")
    config = {
        "model_type": "whisper", "vocab_size": dims["n_vocab"], "num_mel_bins": dims["n_mels"],
        "d_model": dims["n_audio_state"], "encoder_layers": dims["n_audio_layer"],
        "encoder_attention_heads": dims["n_audio_head"], "decoder_layers": dims["n_text_layer"],
        "decoder_attention_heads": dims["n_text_head"],
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    heads = {"alignment_heads": stored["alignment_heads"]}
    (folder / "generation_config.json").write_text(json.dumps(heads))
    return folder


def hear(models_dir: Path, name: str) -> str:
    """What a model makes of the sample."""
    settings = WorkerSettings(
        models_dir=models_dir, default_model=name, device="cpu", downloads=False
    )
    return transcribe_here(LocalModels(settings), SAMPLE, model=name).text


def test_a_checkpoint_is_converted_and_hears_what_it_heard_before(
    store: ModelStore, checkpoint: Path
) -> None:
    folder = add_model(store, "medical", checkpoint)

    noted = json.loads((folder / "longhand.json").read_text())
    [own] = WhisperModels(store).own()
    assert noted["own"] == {"is_multilingual": True, "translates": True, "knows_cantonese": False}
    assert (own.name, own.is_multilingual, own.chunk_s) == ("medical", True, 30)
    assert list(WhisperModels(store).local_revisions()) == ["demo", "medical"]
    assert sorted(path.name for path in store.directory.iterdir()) == ["medical"]
    assert hear(store.directory, "medical").strip().startswith("Good morning everyone.")


def test_a_folder_of_ctranslate2_is_copied_with_what_belongs_to_it_alone(
    store: ModelStore, ctranslate2: Path, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(ctranslate2, source)
    write_files(source, {"optimizer.bin": b"not wanted", "README.md": b"not wanted"})

    folder = add_model(store, "medical", source)

    assert {path.name for path in folder.iterdir()} == {
        "config.json", "longhand.json", "model.bin", "preprocessor_config.json", "tokenizer.json",
        "vocabulary.json",
    }  # fmt: skip


def test_a_folder_that_transformers_wrote_is_converted(
    store: ModelStore, transformers: Path, demo_model: Path
) -> None:
    from worker.models.conversion.ctranslate2_file import read_variables

    folder = add_model(store, "medical", transformers)

    made, true = (read_variables(path / "model.bin") for path in (folder, demo_model))
    config = json.loads((folder / "config.json").read_text())
    assert all((made[name] == true[name]).all() for name in true)
    assert (len(config["lang_ids"]), config["alignment_heads"]) == (99, [[1, 0], [2, 0]])


@pytest.mark.parametrize(
    "name", ["base", "turbo", "whisper-1", "demo-aligner-en", "../medical", ".medical", "a/b", "",
             "x" * 101, "house"]
)  # fmt: skip
def test_a_name_that_leads_elsewhere_or_means_another_model_is_refused(
    store: ModelStore, ctranslate2: Path, name: str
) -> None:
    with pytest.raises(InvalidRequest, match="cannot be the name of a model of your own"):
        add_model(store, name, ctranslate2, taken=["house"])
    assert not store.directory.exists()


def test_a_name_is_given_once(store: ModelStore, ctranslate2: Path) -> None:
    add_model(store, "medical", ctranslate2)

    with pytest.raises(InvalidRequest, match="already; `./longhand models rm medical` removes it"):
        add_model(store, "medical", ctranslate2)


@pytest.mark.parametrize("form", ["ctranslate2", "checkpoint", "neither", "broken"])
def test_what_does_not_transcribe_is_refused_and_leaves_nothing(
    store: ModelStore, ctranslate2: Path, tmp_path: Path, form: str
) -> None:
    source = tmp_path / "source"
    if form == "ctranslate2":
        shutil.copytree(ctranslate2, source)
        (source / "tokenizer.json").unlink()
        reason = "lacks tokenizer.json"
    elif form == "broken":
        shutil.copytree(ctranslate2, source)
        content = (source / "model.bin").read_bytes()
        (source / "model.bin").write_bytes(content[: len(content) // 2])
        reason = "does not transcribe"
    elif form == "checkpoint":
        import torch

        source = tmp_path / "source.pt"
        torch.save({"dims": {}, "weights": torch.zeros(3)}, source)
        reason = "source.pt is no checkpoint of openai-whisper"
    else:
        write_files(source, {"notes.txt": b""})
        reason = "is no model: it is neither"

    with pytest.raises(InvalidRequest, match=reason):
        add_model(store, "medical", source)
    assert list(store.directory.iterdir()) == []


def test_a_full_disk_leaves_nothing(ctranslate2: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 4 << 20) as disk:
        with pytest.raises(OSError, match="No space left"):
            add_model(ModelStore(disk), "medical", ctranslate2)
        left = list(disk.iterdir())

    assert left == []


def test_an_own_model_that_lacks_a_file_is_not_offered(
    store: ModelStore, ctranslate2: Path
) -> None:
    folder = add_model(store, "medical", ctranslate2)
    (folder / "tokenizer.json").unlink()

    assert WhisperModels(store).own() == []
    assert "medical" not in WhisperModels(store).local_revisions()
    assert WhisperModels(store).own_names() == ["medical"]


def test_of_a_model_nobody_knows_what_every_whisper_can_is_taken_for_granted() -> None:
    assert "medical" not in MODELS
    assert (MODELS["medical"].name, MODELS["medical"].chunk_s) == ("medical", 30)
    assert "medical" not in MODELS
