"""Where aligners come from, and the kinds there are."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from published import COMMIT, Published

from shared.errors import EngineFailed, ModelNotFound
from shared.settings import CHECKOUT
from worker.alignment import open_aligner
from worker.alignment.network import BundleNetwork, PretrainedNetwork, make_alphabet
from worker.models.alignment_catalogue import ALIGNERS, BUNDLES, REPOSITORIES
from worker.models.alignment_files import AlignerFiles
from worker.models.fetching import Fetching
from worker.models.sources.settings import HubSettings, IndexSettings
from worker.models.store import ModelStore

SHIPPED = CHECKOUT / "models" / "demo-aligner-en"
SWEDISH = "KBLab/wav2vec2-large-voxrex-swedish"


def test_the_table_of_aligners_is_whisperx_own() -> None:
    """Read, not imported: importing it takes seconds."""
    import ast
    from importlib.util import find_spec

    package = find_spec("whisperx")
    assert package is not None
    assert package.origin is not None
    tree = ast.parse(Path(package.origin).with_name("alignment.py").read_text(encoding="utf-8"))
    theirs: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith(
            "DEFAULT_ALIGN"
        ):
            theirs |= ast.literal_eval(node.value)

    assert theirs == ALIGNERS
    assert set(ALIGNERS.values()) <= {*BUNDLES, *REPOSITORIES}


def test_torchaudio_has_every_bundle_by_name_and_file() -> None:
    from torchaudio import pipelines

    known = {name: getattr(pipelines, name) for name in BUNDLES}

    assert {type(bundle) for bundle in known.values()} == {pipelines.Wav2Vec2ASRBundle}
    assert {name: bundle._path for name, bundle in known.items()} == BUNDLES


@pytest.mark.parametrize("name", [SWEDISH, "WAV2VEC2_ASR_BASE_960H", "house-aligner"])
def test_a_missing_aligner_says_what_is_missing_and_how_to_mend_it(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelNotFound) as caught:
        open_aligner(name, ModelStore(tmp_path), device="cpu")

    message = caught.value.message
    assert repr(name) in message
    assert repr(name.replace("/", "--")) in message
    assert "LONGHAND_MODELS_DIR" in message
    assert "LONGHAND_DOWNLOADS" in message
    assert list(tmp_path.iterdir()) == []


def test_an_aligner_outside_the_catalogue_is_never_downloaded(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="nor in the catalogue"):
        open_aligner("house-aligner", ModelStore(tmp_path, Fetching(True)), device="cpu")


def test_a_folder_put_there_by_hand_is_found_by_the_name_of_its_repository(tmp_path: Path) -> None:
    folder = tmp_path / "KBLab--wav2vec2-large-voxrex-swedish"
    shutil.copytree(SHIPPED, folder)
    store = ModelStore(tmp_path)

    open_aligner(SWEDISH, store, device="cpu")

    assert store.locate("aligner", SWEDISH) == folder


def test_a_broken_aligner_says_which_it_is(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "house-aligner")
    (tmp_path / "house-aligner" / "model.safetensors").write_bytes(b"not weights")

    with pytest.raises(EngineFailed, match="house-aligner"):
        open_aligner("house-aligner", ModelStore(tmp_path), device="cpu")


def test_the_demo_aligner_is_described_by_the_hash_of_its_weights() -> None:
    described = json.loads((SHIPPED / "longhand.json").read_bytes())

    digest = hashlib.sha256((SHIPPED / "model.safetensors").read_bytes()).hexdigest()
    assert described["name"] == SHIPPED.name
    assert described["revision"] == digest[:12]


@pytest.fixture
def published() -> Iterator[Published]:
    with Published() as published:
        files = {path.name: path.read_bytes() for path in SHIPPED.iterdir()}
        published.put_repository(SWEDISH, files, lfs=".*")
        yield published


@pytest.fixture
def online(published: Published, tmp_path: Path) -> ModelStore:
    """A site that has one Hub."""
    fetching = Fetching(True, hub=HubSettings(published.url, False), index=IndexSettings(()))
    return ModelStore(tmp_path / "models", fetching)


def test_an_aligner_of_the_catalogue_is_downloaded_and_named_by_its_commit(
    online: ModelStore, tmp_path: Path
) -> None:
    found = online.locate("aligner", SWEDISH)

    folder = tmp_path / "models" / "KBLab--wav2vec2-large-voxrex-swedish"
    assert found == folder
    assert not (folder / "README.md").exists()
    assert json.loads((folder / "longhand.json").read_bytes())["revision"] == COMMIT
    assert ModelStore(tmp_path / "models").find(AlignerFiles(SWEDISH)) == folder


def test_weights_that_run_no_code_are_taken_where_there_are_some(
    online: ModelStore, published: Published
) -> None:
    files = {path.name: path.read_bytes() for path in SHIPPED.iterdir()}
    published.put_repository(SWEDISH, {**files, "pytorch_model.bin": b"pickled"}, lfs=".*")

    folder = online.locate("aligner", SWEDISH)

    assert (folder / "model.safetensors").is_file()
    assert not (folder / "pytorch_model.bin").exists()


def test_a_download_with_another_hash_is_refused_and_leaves_nothing(
    online: ModelStore, published: Published, tmp_path: Path
) -> None:
    page = published.page("model.safetensors")
    page.content = page.content[:-1] + b"?"

    with pytest.raises(ModelNotFound) as refused:
        online.locate("aligner", SWEDISH)

    assert f"aligner '{SWEDISH}' could not be fetched" in refused.value.message
    assert "LONGHAND_MODELS_DIR" in refused.value.message
    assert list((tmp_path / "models").iterdir()) == []


def test_an_aligner_of_several_files_is_whole_with_all_of_them(tmp_path: Path) -> None:
    folder = tmp_path / "house-aligner"
    shutil.copytree(SHIPPED, folder)
    shards = {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    (folder / "model.safetensors").rename(folder / "model-1-of-2.safetensors")

    assert AlignerFiles("house-aligner").missing(folder) == ["model-2-of-2.safetensors"]


def tiny_pretrained(folder: Path, norm: str) -> PretrainedNetwork:
    """Random weights of a true architecture, saved as transformers does."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    torch.manual_seed(1)
    config = Wav2Vec2Config(
        vocab_size=30, hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, conv_dim=(32,) * 7, num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2, feat_extract_norm=norm,
        do_stable_layer_norm=norm == "layer", pad_token_id=29,
    )  # fmt: skip
    model = Wav2Vec2ForCTC(config).eval()
    for layer in model.wav2vec2.feature_extractor.conv_layers:
        torch.nn.init.kaiming_normal_(layer.conv.weight)
    model.save_pretrained(folder)
    vocabulary = {c: i for i, c in enumerate("|ABCDEFGHIJKLMNOPQRSTUVWXYZ'-")} | {"[PAD]": 29}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    normalize = json.dumps({"do_normalize": True})
    (folder / "preprocessor_config.json").write_text(normalize, encoding="utf-8")
    return PretrainedNetwork(folder, "cpu")


def test_a_network_with_layer_norm_hears_the_same_in_a_batch_as_alone(tmp_path: Path) -> None:
    network = tiny_pretrained(tmp_path, "layer")
    noise = np.random.default_rng(2)
    waves = [noise.standard_normal(n).astype(np.float32) for n in (16_000, 9_001, 400, 12_345)]

    together = network.log_probs(waves)

    assert network.pads_exactly
    for wave, batched in zip(waves, together, strict=True):
        [alone] = network.log_probs([wave])
        assert batched.shape == alone.shape
        assert float((batched - alone).abs().max()) < 1e-4


def test_a_network_with_group_norm_is_given_one_at_a_time(tmp_path: Path) -> None:
    assert not tiny_pretrained(tmp_path, "group").pads_exactly


def test_a_vocabulary_in_capitals_with_its_blank_at_the_end_spells_lower_case(
    tmp_path: Path,
) -> None:
    alphabet = tiny_pretrained(tmp_path, "group").alphabet

    assert (alphabet.blank, alphabet.delimiter, alphabet.wildcard) == (29, 0, 30)
    assert [alphabet.label(c) for c in "aBé’9|"] == [1, 2, 5, 27, None, None]


def test_a_vocabulary_may_write_its_delimiter_as_a_space() -> None:
    numbers = {"<pad>": 0, " ": 1, "a": 2, "<unk>": 3}

    assert make_alphabet(numbers, blank=0, delimiter="|", n_labels=4).delimiter == 1


def test_a_bundle_of_torchaudio_is_read_from_its_folder_and_asks_no_network(
    tmp_path: Path,
) -> None:
    import torch
    from torchaudio.models import wav2vec2_model
    from torchaudio.pipelines import WAV2VEC2_ASR_BASE_960H, Wav2Vec2ASRBundle

    tiny = {
        "extractor_conv_layer_config": [(16, 10, 5), *[(16, 3, 2)] * 4, *[(16, 2, 2)] * 2],
        "encoder_embed_dim": 16, "encoder_num_layers": 1, "encoder_num_heads": 2,
        "encoder_ff_interm_features": 32, "encoder_pos_conv_kernel": 16,
        "encoder_pos_conv_groups": 2,
    }  # fmt: skip
    values = {f.name: getattr(WAV2VEC2_ASR_BASE_960H, f.name)
              for f in dataclasses.fields(Wav2Vec2ASRBundle)}  # fmt: skip
    values["_params"] = values["_params"] | tiny
    bundle = Wav2Vec2ASRBundle(**values)
    state = wav2vec2_model(**bundle._params).state_dict()
    # The files have 32 labels; torchaudio drops three of them when it reads one.
    state["aux.weight"], state["aux.bias"] = torch.randn(32, 16), torch.zeros(32)
    weights = tmp_path / "wav2vec2_fairseq_base_ls960_asr_ls960.pth"
    torch.save(state, weights)

    network = BundleNetwork(bundle, weights, "cpu")
    [log_probs] = network.log_probs([np.zeros(16_000, np.float32)])

    assert tuple(log_probs.shape) == (49, 29)
    assert log_probs.exp().sum(-1).tolist() == pytest.approx([1.0] * 49, abs=1e-4)
    assert network.alphabet.label("e") == bundle.get_labels().index("E")
    assert network.alphabet.delimiter == 1
