"""The networks of `diarization` on onnxruntime: what torch computes with the same weights."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.diarization.embedding import EmbeddingNetwork
from worker.diarization.features import filter_bank
from worker.diarization.segmentation import CHUNK, Segmentation, powerset, voices
from worker.diarization.weights import read_weights
from worker.models.diarization_files import SEGMENTATION_FILE, VOICES_FILE

pytestmark = pytest.mark.speech

has_pyannote = pytest.mark.skipif(
    find_spec("pyannote") is None or find_spec("torchaudio") is None,
    reason="pyannote.audio, which the networks are compared with, is not installed",
)
CLOSE = 1e-4


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """Ten seconds: tones that come and go, over noise."""
    time_s = np.arange(CHUNK) / SAMPLE_RATE_HZ
    tone = np.sin(2 * np.pi * 180 * time_s) * (np.sin(2 * np.pi * 0.7 * time_s) > 0) * 0.2
    noise = np.random.default_rng(0).normal(0, 0.02, CHUNK)
    return (tone + noise).astype(np.float32)


@has_pyannote
def test_segmentation_is_what_torch_computes(real_diarizer: Path, sound: np.ndarray) -> None:
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.segmentation import PyanNet

    path = real_diarizer / SEGMENTATION_FILE
    reference = PyanNet(lstm={"num_layers": 4})
    reference.specifications = Specifications(
        Problem.MONO_LABEL_CLASSIFICATION, Resolution.FRAME, duration=10.0,
        classes=["1", "2", "3"], powerset_max_classes=2, permutation_invariant=True,
    )  # fmt: skip
    reference.build()
    reference.load_state_dict(torch.load(path, weights_only=True)["state_dict"])
    network = Segmentation(read_weights(path)["state_dict"], threads=1)
    chunks = np.stack([sound, sound[::-1] * 0.5])

    found = network.listen(chunks)

    with torch.inference_mode():
        expected = reference.eval()(torch.from_numpy(chunks.copy())[:, None]).numpy()
    assert found.shape == (2, 589, 7)
    np.testing.assert_allclose(np.exp(found), np.exp(expected), atol=CLOSE)


@has_pyannote
@pytest.mark.parametrize("n_samples", [CHUNK, 24_000, 53_123])
def test_embeddings_are_what_torch_computes(
    real_diarizer: Path, sound: np.ndarray, n_samples: int
) -> None:
    import torch

    from bench.evaluation.speakers.torch_voices import CamPlusPlus

    reference = CamPlusPlus()
    reference.load_state_dict(torch.load(real_diarizer / VOICES_FILE, weights_only=True))
    network = EmbeddingNetwork(read_weights(real_diarizer / VOICES_FILE), threads=1)
    features = filter_bank(sound[:n_samples])
    features = (features - features.mean(axis=0))[None]

    frames = network.frames(features)
    print_ = network.embed(frames.mean(axis=-1), frames.std(axis=-1, ddof=1))

    with torch.inference_mode():
        expected = reference.eval().trunk(torch.from_numpy(features))
        expected_print = reference.voice(expected).numpy()
    np.testing.assert_allclose(frames, expected.numpy(), atol=CLOSE)
    np.testing.assert_allclose(print_, expected_print, atol=CLOSE)


@has_pyannote
def test_features_are_kaldis(sound: np.ndarray) -> None:
    import torch
    import torchaudio.compliance.kaldi as kaldi

    expected = kaldi.fbank(torch.from_numpy(sound)[None], num_mel_bins=80, dither=0.0)

    np.testing.assert_allclose(filter_bank(sound), expected.numpy(), atol=2e-3)


def test_too_little_sound_has_no_features() -> None:
    assert filter_bank(np.zeros(399, np.float32)).shape == (0, 80)
    assert filter_bank(np.zeros(400, np.float32)).shape == (1, 80)


def test_each_set_of_voices_is_told_by_its_number() -> None:
    log_probs = np.log(np.full((7, 7), 0.01) + np.eye(7))

    np.testing.assert_array_equal(voices(log_probs[None]), powerset()[None])
