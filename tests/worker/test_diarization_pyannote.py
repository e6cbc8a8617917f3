"""Our pipeline finds what pyannote.audio's own finds, with less work, and reports to nobody."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dialogs import DEMO

from models.training.demo_diarization.dialogs import Dialog
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.models.diarization_files import read_config

pytestmark = pytest.mark.speech


@pytest.fixture(scope="module")
def both():
    """pyannote.audio's own pipeline and ours, of the same parts."""
    from pyannote.audio.pipelines.speaker_diarization import SpeakerDiarization

    from worker.diarization.pyannote_pipeline import NoPlda, load_pipeline

    config = read_config(DEMO)
    theirs = SpeakerDiarization(
        segmentation={"checkpoint": str(DEMO / "segmentation")},
        embedding={"checkpoint": str(DEMO / "embedding")},
        plda=NoPlda(),
        clustering="AgglomerativeClustering",
        embedding_exclude_overlap=True,
        segmentation_batch_size=8,
        embedding_batch_size=8,
    )
    theirs.instantiate(config["params"])
    return theirs, load_pipeline(DEMO, config)


def as_pyannote_reads(dialog: Dialog) -> dict[str, Any]:
    import torch

    waveform = torch.from_numpy(dialog.waveform.astype(np.float32) / 32768)[None]
    return {"waveform": waveform, "sample_rate": SAMPLE_RATE_HZ, "uri": "dialog"}


def with_pauses(dialog: Dialog) -> Dialog:
    """The same with half a minute of silence in the middle, so that some chunks hold no speech."""
    half = len(dialog.waveform) // 2
    parts = dialog.waveform[:half], np.zeros(30 * SAMPLE_RATE_HZ, np.int16), dialog.waveform[half:]
    return Dialog(np.concatenate(parts), (), (), "")


def test_what_is_found_is_what_pyannote_finds(both, source, three):
    theirs, ours = both
    dialog = with_pauses(three)
    whole, spans = as_pyannote_reads(dialog), {"uri": "dialog", "source": source(dialog)}

    expected, found = theirs(whole), ours.apply(spans)

    assert found.speaker_diarization == expected.speaker_diarization
    assert found.exclusive_speaker_diarization == expected.exclusive_speaker_diarization
    assert np.array_equal(found.speaker_embeddings, expected.speaker_embeddings)


def test_embeddings_are_pyannotes_own_to_the_last_bit(both, source, three):
    theirs, ours = both
    dialog = with_pauses(three)
    whole, spans = as_pyannote_reads(dialog), {"source": source(dialog)}
    spoken = theirs.get_segmentations(whole)

    assert ours.has_trunk
    assert np.array_equal(ours.get_segmentations(spans).data, spoken.data)
    for exclude in (True, False):
        assert np.array_equal(
            ours.get_embeddings(spans, spoken, exclude_overlap=exclude),
            theirs.get_embeddings(whole, spoken, exclude_overlap=exclude),
        )


class Counted:
    """Counts how many chunks go through a network's first layer."""

    def __init__(self, layer: Any) -> None:
        self.n = 0
        self._hook = layer.register_forward_hook(self._count)

    def _count(self, layer: Any, inputs: Any, output: Any) -> None:
        self.n += len(output)

    def close(self) -> None:
        self._hook.remove()


@pytest.fixture
def wespeaker(both):
    """Both pipelines with the embedding that real ones have, of random weights."""
    import torch
    from pyannote.audio.models.embedding import WeSpeakerResNet34
    from pyannote.audio.pipelines.speaker_verification import (
        PyannoteAudioPretrainedSpeakerEmbedding,
    )

    torch.manual_seed(0)
    embedding = PyannoteAudioPretrainedSpeakerEmbedding(WeSpeakerResNet34())
    assert embedding.min_num_samples  # found by trying, once
    before = [(pipeline, pipeline._embedding) for pipeline in both]
    for pipeline in both:
        pipeline._embedding = embedding
        pipeline.embedding_batch_size = 2
    yield embedding.model_
    for pipeline, own in before:
        pipeline._embedding = own
        pipeline.embedding_batch_size = 8


def test_a_chunk_goes_once_through_the_network_that_real_pipelines_have(
    both, wespeaker, source, three
):
    theirs, ours = both
    dialog = Dialog(three.waveform[: 12 * SAMPLE_RATE_HZ], (), (), "")
    whole, spans = as_pyannote_reads(dialog), {"source": source(dialog)}
    spoken = theirs.get_segmentations(whole)

    counted = Counted(wespeaker.resnet.conv1)
    expected = theirs.get_embeddings(whole, spoken, exclude_overlap=True)
    n_theirs, counted.n = counted.n, 0
    found = ours.get_embeddings(spans, spoken, exclude_overlap=True)
    counted.close()

    assert np.array_equal(found, expected)
    assert (n_theirs, counted.n) == (3 * len(spoken), len(spoken))


def test_an_embedding_without_a_shared_part_goes_pyannotes_own_way(both, source, three):
    theirs, _ = both
    from worker.diarization.pyannote_pipeline import SpanDiarization, load_pipeline

    class Whole(SpanDiarization):
        has_trunk = False

    dialog = Dialog(three.waveform[: 12 * SAMPLE_RATE_HZ], (), (), "")
    spans = {"uri": "dialog", "source": source(dialog)}

    found = load_pipeline(DEMO, read_config(DEMO), kind=Whole).apply(spans)

    assert found.speaker_diarization == theirs(as_pyannote_reads(dialog)).speaker_diarization


def test_pyannote_reports_nothing(diarizer):
    from pyannote.audio.telemetry.metrics import is_metrics_enabled

    assert not is_metrics_enabled()
