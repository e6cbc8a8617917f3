"""How many speakers, how alike: what is asked of a diarizer holds for one call."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
from dialogs import DEMO

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.diarization import DiarizationOptions, Diarizer, open_diarizer
from worker.diarization.pyannote_diarizer import PyannoteDiarizer
from worker.models.diarization_files import read_config
from worker.models.store import ModelStore


@pytest.fixture(scope="module")
def recording():
    """A pipeline that notes what it and its clustering are asked."""
    from worker.diarization.pyannote_pipeline import (
        SpanDiarization,
        ThinnedAgglomerative,
        load_pipeline,
    )

    asked: dict[str, Any] = {}

    class RecordingClustering(ThinnedAgglomerative):
        def __call__(self, *args: Any, **options: Any) -> Any:
            asked["threshold"] = self.threshold
            asked["clusters"] = tuple(options[f"{n}_clusters"] for n in ("num", "min", "max"))
            return super().__call__(*args, **options)

    class RecordingPipeline(SpanDiarization):
        def __init__(self, **params: Any) -> None:
            super().__init__(**params)
            self.clustering = RecordingClustering(metric=self._embedding.metric)

        def apply(self, file: Any, **options: Any) -> Any:
            asked["speakers"] = tuple(options[f"{n}_speakers"] for n in ("num", "min", "max"))
            return super().apply(file, **options)

    return PyannoteDiarizer(load_pipeline(DEMO, read_config(DEMO), kind=RecordingPipeline)), asked


@pytest.mark.parametrize(
    ("options", "speakers", "clusters"),
    [
        ({"num_speakers": 3}, (3, None, None), (3, 3, 3)),
        ({"min_speakers": 2}, (None, 2, None), (None, 2, np.inf)),
        ({"max_speakers": 5}, (None, None, 5), (None, 1, 5)),
        ({"min_speakers": 2, "max_speakers": 4}, (None, 2, 4), (None, 2, 4)),
        ({}, (None, None, None), (None, 1, np.inf)),
    ],
    ids=str,
)
def test_each_number_of_speakers_arrives_as_itself(
    recording, source, two, options, speakers, clusters
):
    recorder, asked = recording

    recorder.find_turns(source(two.waveform[:160_000]), DiarizationOptions(**options))

    assert asked["speakers"] == speakers
    assert asked["clusters"] == clusters


def test_a_threshold_holds_for_one_call(recording, source, two):
    recorder, asked = recording
    thresholds = []

    for threshold in (None, 0.3, None):
        options = DiarizationOptions(clustering_threshold=threshold)
        recorder.find_turns(source(two.waveform[:160_000]), options)
        thresholds.append(asked["threshold"])

    tuned = read_config(DEMO)["params"]["clustering"]["threshold"]
    assert thresholds == [tuned, 0.3, tuned]


def test_a_threshold_is_undone_when_the_call_is_stopped(recording, source, two):
    recorder, asked = recording

    def stop(fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        recorder.find_turns(source(two), DiarizationOptions(clustering_threshold=0.3), stop)
    recorder.find_turns(source(two.waveform[:160_000]), DiarizationOptions())

    assert asked["threshold"] == read_config(DEMO)["params"]["clustering"]["threshold"]


def test_a_larger_threshold_finds_fewer_speakers(diarizer, source, three):
    tuned = diarizer.find_turns(source(three), DiarizationOptions())
    wide = diarizer.find_turns(source(three), DiarizationOptions(clustering_threshold=1.9))

    assert len({turn.speaker for turn in wide.turns}) < len({turn.speaker for turn in tuned.turns})


@pytest.fixture(scope="module")
def vbx(tmp_path_factory: pytest.TempPathFactory) -> Diarizer:
    """The demo pipeline with the clustering of community-1, and a PLDA that knows nothing."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(DEMO, folder / "vbx")
    config = (folder / "vbx" / "config.yaml").read_text().partition("\nparams:")[0]
    config = config.replace("AgglomerativeClustering", "VBxClustering\n    plda: $model/plda")
    config += "\nparams:\n  clustering: {threshold: 0.7, Fa: 0.4, Fb: 0.8}\n"
    config += "  segmentation: {min_duration_off: 0.1}\n"
    (folder / "vbx" / "config.yaml").write_text(config)
    plda = folder / "vbx" / "plda"
    plda.mkdir()
    n = 64
    np.savez(plda / "xvec_transform.npz", mean1=np.zeros(n), mean2=np.zeros(n), lda=np.eye(n))
    np.savez(plda / "plda.npz", mu=np.zeros(n), tr=np.eye(n), psi=np.linspace(10, 0.1, n))
    return open_diarizer("vbx", ModelStore(folder), device="cpu")


def test_a_threshold_changes_vbx_too(vbx, source, three):
    tuned = vbx.find_turns(source(three), DiarizationOptions())
    wide = vbx.find_turns(source(three), DiarizationOptions(clustering_threshold=1.9))

    assert len({turn.speaker for turn in wide.turns}) < len({turn.speaker for turn in tuned.turns})


def test_vbx_is_not_asked_for_more_speakers_than_it_heard_voices(vbx, source, two):
    found = vbx.find_turns(
        source(two.waveform[: 6 * SAMPLE_RATE_HZ]), DiarizationOptions(num_speakers=9)
    )

    assert found.turns
    assert [warned.code for warned in found.warnings] == ["speaker_count_not_met"]
