"""openai-whisper's own checkpoints: fetched by an address that holds their hash, or converted."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from published import Published

from shared.catalogue import MODELS
from worker.engines.compact import COMPACT_FILE, expand
from worker.models.conversion.checkpoint import write_checkpoint
from worker.models.conversion.ctranslate2_file import NotConvertible, read_variables
from worker.models.conversion.to_ctranslate2 import convert_checkpoint
from worker.models.conversion.vocabulary import make_tokenizer, whisper_tokenizer
from worker.models.fetching import Fetching, NotFetched
from worker.models.listing import list_models
from worker.models.manifest import DESCRIPTION_FILE
from worker.models.sources.settings import HubSettings, IndexSettings
from worker.models.store import ModelStore
from worker.models.whisper_files import CheckpointFiles, WhisperFiles
from worker.models.whisper_models import WhisperModels


def load(path: Path) -> dict[str, Any]:
    """What a checkpoint of openai-whisper holds."""
    import torch

    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def checkpoint(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint that CTranslate2's own converter made the demo model of."""
    import torch

    path = tmp_path_factory.mktemp("checkpoint") / "demo.pt"
    made = expand(demo_model / COMPACT_FILE)
    weights = {name: tensor.half() for name, tensor in made["model_state_dict"].items()}
    torch.save({**made, "model_state_dict": weights}, path)
    return path


@pytest.fixture
def put(demo_model: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A function that puts the demo model where models are, in CTranslate2's form alone."""

    def put(name: str) -> Path:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        for path in demo_model.iterdir():
            if path.name not in (COMPACT_FILE, DESCRIPTION_FILE):
                shutil.copyfile(path, folder / path.name)
        return folder

    return put


@pytest.fixture
def nowhere() -> Fetching:
    """A site all of whose sources are closed."""
    with Published() as published:
        url = published.url
    return Fetching(True, hub=HubSettings(url, False), index=IndexSettings((url,)))


def test_openai_whisper_publishes_an_address_with_a_hash_for_every_model_said_to_be_its() -> None:
    named = [name for name, entry in MODELS.items() if entry.openai_name]
    origins = [CheckpointFiles(name).origin for name in named]

    assert len(named) == 12
    assert [len(digest) for o in origins if o for digest in o.hashes.values()] == [64] * 12
    assert all(o and set(o.hashes.values()) <= set(o.address.split("/")) for o in origins)
    assert CheckpointFiles("distil-whisper-small.en").origin is None


def test_every_weight_comes_back_as_it_was(
    demo_model: Path, checkpoint: Path, tmp_path: Path
) -> None:
    write_checkpoint(demo_model, tmp_path / "tiny.pt")

    made, true = load(tmp_path / "tiny.pt"), load(checkpoint)
    assert (made["dims"], made["alignment_heads"]) == (true["dims"], true["alignment_heads"])
    assert made["model_state_dict"].keys() == true["model_state_dict"].keys()
    for name, tensor in true["model_state_dict"].items():
        assert made["model_state_dict"][name].equal(tensor), name


def test_a_checkpoint_made_here_writes_what_ctranslate2_writes(
    demo_model: Path, tmp_path: Path
) -> None:
    """The same network: what it hears and which token it writes, in float32."""
    import torch
    import whisper
    from ctranslate2 import StorageView
    from ctranslate2.models import Whisper as CTranslate2Whisper

    write_checkpoint(demo_model, tmp_path / "tiny.pt")
    theirs = whisper.load_model(str(tmp_path / "tiny.pt"), device="cpu")
    ours = CTranslate2Whisper(str(demo_model), compute_type="float32", intra_threads=1)
    prompt = [50258, 50259, 50359, 50363]
    tone = np.sin(np.arange(480_000) / 9).astype(np.float32) * 0.1
    mel = whisper.log_mel_spectrogram(tone)[:, :3000]

    encoded = theirs.embed_audio(mel[None]).detach().numpy()
    features = StorageView.from_array(np.ascontiguousarray(mel[None].numpy()))
    logits = theirs.logits(torch.tensor([prompt]), torch.from_numpy(encoded))
    [result] = ours.generate(
        features, [prompt], beam_size=1, max_length=8, return_logits_vocab=True,
        suppress_blank=False, suppress_tokens=[],
    )  # fmt: skip

    assert np.abs(np.asarray(ours.encode(features)) - encoded).max() < 1e-4
    first = np.asarray(result.logits[0][0])
    assert int(first.argmax()) == int(logits[0, -1].argmax())


def test_the_heads_that_time_words_are_those_of_the_models_own_list(
    put: Callable[[str], Path], tmp_path: Path
) -> None:
    from worker.engines.openai_whisper import OpenaiWhisperEngine

    folder = put("house")
    value = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**value, "alignment_heads": [[1, 1], [0, 2]]}))
    write_checkpoint(folder, tmp_path / "house.pt")

    engine = OpenaiWhisperEngine(
        tmp_path / "house.pt", device="cpu", compute_type="float32", threads=1
    )

    assert engine._model.alignment_heads.indices().T.tolist() == [[0, 2], [1, 1]]


def test_weights_in_eight_bits_come_back_nearly(checkpoint: Path, tmp_path: Path) -> None:
    convert_checkpoint(checkpoint, tmp_path, stored_as="int8")
    write_checkpoint(tmp_path, tmp_path / "tiny.pt")

    made, true = (load(path)["model_state_dict"] for path in (tmp_path / "tiny.pt", checkpoint))
    name = "decoder.blocks.1.cross_attn.value.weight"
    assert float((made[name] - true[name].float()).abs().max()) < 0.01 * float(true[name].max())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no model of CTranslate2"),
        (b"weights", "is no model of CTranslate2"),
        (b"\6\0\0\0\7\0Bertie\0" + b"\0" * 20, "is a 'Bertie' of format 6"),
    ],
)
def test_what_is_no_whisper_is_not_converted(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "model.bin").write_bytes(content)

    with pytest.raises(NotConvertible, match=reason):
        read_variables(tmp_path / "model.bin")


def test_half_of_the_weights_are_not_converted(demo_model: Path, tmp_path: Path) -> None:
    content = (demo_model / "model.bin").read_bytes()
    (tmp_path / "model.bin").write_bytes(content[: len(content) // 2])

    with pytest.raises(NotConvertible, match=r"model.bin is no model of CTranslate2"):
        write_checkpoint(tmp_path, tmp_path / "tiny.pt")


def test_a_model_in_ctranslate2s_form_is_converted_once_for_openai_whisper(
    put: Callable[[str], Path], nowhere: Fetching, tmp_path: Path
) -> None:
    folder = put("tiny")
    files = WhisperModels(ModelStore(tmp_path / "models", nowhere, "openai_whisper"))
    offered = files.local_revisions()

    path = files.store.locate("model", "tiny")
    n_first = path.stat().st_mtime_ns
    again = files.store.locate("model", "tiny")

    noted = json.loads((folder / "longhand.json").read_text())["files"]["tiny.pt"]
    assert path == again == folder / "tiny.pt"
    assert path.stat().st_mtime_ns == n_first
    assert noted["made_from"] == "model.bin"
    assert noted["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert offered == files.local_revisions() == {"tiny": "", "demo": files.revision("demo")}
    assert sorted(p.name for p in (tmp_path / "models").iterdir()) == ["tiny"]
    [listed] = [model for model in list_models(files) if model.name == "tiny"]
    assert listed.engines == ("faster_whisper", "openai_whisper", "whisperx")


def test_where_neither_form_is_to_be_had_every_source_of_both_is_told(
    nowhere: Fetching, tmp_path: Path
) -> None:
    files = WhisperModels(ModelStore(tmp_path / "models", nowhere, "openai_whisper"))

    with pytest.raises(NotFetched) as failed:
        files.store.pull(
            files.store.files_of("model", "distil-whisper-small.en")
        )  # for which there is no checkpoint
    assert [line.partition(":")[0] for line in failed.value.failures] == ["the Hub"]
    assert "distil-whisper-small.en.pt as openai-whisper has it, or model.bin" in str(failed.value)
    assert list((tmp_path / "models").iterdir()) == []


def test_what_cannot_be_converted_is_told_and_leaves_nothing(
    put: Callable[[str], Path], nowhere: Fetching, tmp_path: Path
) -> None:
    folder = put("tiny")
    (folder / "model.bin").write_bytes(b"weights")

    with pytest.raises(NotFetched, match=r"model.bin is no model of CTranslate2"):
        ModelStore(tmp_path / "models", nowhere, "openai_whisper").pull(CheckpointFiles("tiny"))
    assert sorted(p.name for p in (tmp_path / "models").iterdir()) == ["tiny"]
    assert not (folder / "tiny.pt").exists()


def test_a_checkpoint_becomes_the_folder_that_ctranslate2_makes_of_it(
    demo_model: Path, checkpoint: Path, tmp_path: Path
) -> None:
    convert_checkpoint(checkpoint, tmp_path)

    made = read_variables(tmp_path / "model.bin")
    true = read_variables(demo_model / "model.bin")
    config, expected = (
        json.loads((folder / "config.json").read_text()) for folder in (tmp_path, demo_model)
    )
    assert [name for name in true if not np.array_equal(made[name], true[name])] == []
    assert WhisperFiles("tiny").missing(tmp_path) == []
    for key in ("alignment_heads", "lang_ids", "suppress_ids_begin"):
        assert config[key] == expected[key], key


@pytest.mark.parametrize("n_vocabulary", [51_864, 51_866])
def test_a_tokenizer_made_here_is_openai_whispers(n_vocabulary: int) -> None:
    texts = [
        "Hello world, it's 3.50€!", "你好，世界 — naïve façade\n\n  tabs\t",
        "<|startoftranscript|><|en|><|transcribe|> so<|1.50|>", "日本語 한국어 العربية 👩‍👧",
    ]  # fmt: skip
    made, theirs = make_tokenizer(n_vocabulary), whisper_tokenizer(n_vocabulary).encoding

    assert made.get_vocab_size() == n_vocabulary
    for text in texts:
        assert made.encode(text).ids == theirs.encode(text, allowed_special="all")
        assert made.decode(made.encode(text).ids, skip_special_tokens=False) == text
