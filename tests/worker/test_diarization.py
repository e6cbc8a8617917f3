"""Who speaks when: the demo pipeline on dialogs of voices it was not trained on."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.settings import CHECKOUT
from tools.demo_diarization.dialogs import UNSEEN, Dialog, draw_dialog, say
from tools.demo_diarization.measure import TARGET, score, words_with_speakers, write_source
from worker.audio import SAMPLE_RATE_HZ, AudioSource
from worker.diarization import DiarizationOptions, Diarizer, KnownSpeaker, open_diarizer
from worker.diarization_files import read_config
from worker.settings import quieten_libraries

quieten_libraries()

DEMO = CHECKOUT / "models" / "demo-diarization"
TWO, THREE = UNSEEN[1:3], (UNSEEN[3], UNSEEN[6], UNSEEN[4])


@dataclass(frozen=True)
class WatchedSource(AudioSource):
    """Audio that remembers how many samples were read at a time."""

    reads: list[int] = field(default_factory=list, compare=False)

    def read(self, start: int, end: int) -> Any:
        self.reads.append(end - start)
        return super().read(start, end)


@pytest.fixture(scope="module")
def diarizer() -> Diarizer:
    return open_diarizer(
        "demo-diarization", CHECKOUT / "models", device="cpu", downloads=False, hf_token=None
    )


@pytest.fixture(scope="module")
def two() -> Dialog:
    return draw_dialog(4, TWO, length_s=24)


@pytest.fixture(scope="module")
def three() -> Dialog:
    return draw_dialog(5, THREE, length_s=28)


@pytest.fixture
def source(tmp_path: Path):
    """A function that writes a dialog, or samples, as audio to be read by span."""

    def write(content: Any) -> AudioSource:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.pcm"
        if isinstance(content, Dialog):
            return write_source(content, path)
        path.write_bytes(np.asarray(content, "<i2").tobytes())
        return AudioSource(path, len(content))

    return write


def alone(voice: Any, *texts: str) -> np.ndarray:
    return np.concatenate([say(voice, text).waveform for text in texts])


def test_unseen_voices_are_told_apart(diarizer, source, two, three):
    found = [diarizer.find_turns(source(dialog), DiarizationOptions()) for dialog in (two, three)]

    errors = score(zip((two, three), [f.turns for f in found], strict=True))
    assert errors.rate < TARGET, str(errors)
    assert errors.n_speakers == ((2, 2), (3, 3))


def test_speakers_are_numbered_as_they_appear(diarizer, source, three):
    found = diarizer.find_turns(source(three), DiarizationOptions())

    order = list(dict.fromkeys(turn.speaker for turn in found.turns))
    assert order == ["SPEAKER_00", "SPEAKER_01", "SPEAKER_02"]


def test_turns_lie_in_the_audio_in_time_order(diarizer, source, two):
    cut = source(two.waveform[: 11 * SAMPLE_RATE_HZ])

    found = diarizer.find_turns(cut, DiarizationOptions())

    starts = [turn.start for turn in found.turns]
    assert starts == sorted(starts)
    assert all(0 <= turn.start < turn.end <= cut.duration_s for turn in found.turns)


def test_people_may_talk_at_once_but_not_in_exclusive_turns(diarizer, source, three):
    found = diarizer.find_turns(source(three), DiarizationOptions())

    assert overlaps(three.turns) > 1
    assert overlaps(found.turns) == pytest.approx(overlaps(three.turns), abs=0.5)
    assert overlaps(found.exclusive_turns) == 0


@pytest.mark.parametrize("seed", [4, 7, 11])
def test_exclusive_turns_never_overlap(diarizer, source, seed):
    found = diarizer.find_turns(source(draw_dialog(seed, THREE, length_s=20)), DiarizationOptions())

    assert overlaps(found.exclusive_turns) == 0


def overlaps(turns: Any) -> float:
    """Seconds in which somebody begins before who came before ends."""
    pairs = zip(turns, turns[1:], strict=False)
    return sum(max(0.0, min(a.end, b.end) - b.start) for a, b in pairs)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_as_many_speakers_are_found_as_are_asked_for(diarizer, source, three, n):
    found = diarizer.find_turns(source(three), DiarizationOptions(num_speakers=n))

    assert len({turn.speaker for turn in found.turns}) == n


def test_bounds_on_the_number_of_speakers_are_kept(diarizer, source, three):
    few = diarizer.find_turns(source(three), DiarizationOptions(max_speakers=2))
    many = diarizer.find_turns(source(three), DiarizationOptions(min_speakers=4))

    assert len({turn.speaker for turn in few.turns}) == 2
    assert len({turn.speaker for turn in many.turns}) == 4


@pytest.fixture(scope="module")
def recording():
    """A pipeline that notes what it and its clustering are asked."""
    from worker.diarization_pipeline import SpanDiarization, ThinnedAgglomerative, load_pipeline

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

    return Diarizer(load_pipeline(DEMO, read_config(DEMO), kind=RecordingPipeline)), asked


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
    return open_diarizer("vbx", folder, device="cpu", downloads=False, hf_token=None)


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


def test_embeddings_are_plain_numbers_for_each_speaker(diarizer, source, two):
    found = diarizer.find_turns(source(two), DiarizationOptions(wants_embeddings=True))

    assert set(found.embeddings) == {turn.speaker for turn in found.turns}
    assert {len(vector) for vector in found.embeddings.values()} == {64}
    assert {type(x) for vector in found.embeddings.values() for x in vector} == {float}


def test_embeddings_are_left_out_unless_asked_for(diarizer, source, two):
    assert diarizer.find_turns(source(two), DiarizationOptions()).embeddings == {}


@pytest.mark.parametrize("seconds", [0, 0.05, 3, 20])
def test_nobody_speaks_in_silence(diarizer, source, seconds):
    silence = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.int16)

    found = diarizer.find_turns(source(silence), DiarizationOptions(wants_embeddings=True))

    assert (found.turns, found.exclusive_turns, found.embeddings) == ((), (), {})


def test_progress_rises_to_one(diarizer, source, two):
    told: list[float] = []

    diarizer.find_turns(source(two), DiarizationOptions(), told.append)

    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) > 4


def test_audio_is_read_a_chunk_at_a_time(diarizer, source, two):
    written = source(np.tile(two.waveform, 3))
    watched = WatchedSource(written.path, written.n_samples)

    diarizer.find_turns(watched, DiarizationOptions())

    assert max(watched.reads) == 10 * SAMPLE_RATE_HZ


def test_of_many_embeddings_an_even_choice_is_clustered():
    from pyannote.core import SlidingWindow, SlidingWindowFeature

    from worker.diarization_pipeline import MOST_CLUSTERED, ThinnedAgglomerative

    n = 3 * MOST_CLUSTERED
    spoken = SlidingWindowFeature(np.ones((n, 10, 1), np.uint8), SlidingWindow(10, 1))
    embeddings = np.arange(n, dtype=float)[:, None, None]

    kept, chunks, _ = ThinnedAgglomerative().filter_embeddings(embeddings, spoken)

    assert len(kept) == MOST_CLUSTERED
    assert (chunks[0], chunks[-1]) == (0, n - 1)
    assert set(np.diff(chunks)) <= {2, 3, 4}
    assert np.array_equal(kept[:, 0], chunks)


@pytest.fixture(scope="module")
def both():
    """pyannote.audio's own pipeline and ours, of the same parts."""
    from pyannote.audio.pipelines.speaker_diarization import SpeakerDiarization

    from worker.diarization_pipeline import NoPlda, load_pipeline

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
    from worker.diarization_pipeline import SpanDiarization, load_pipeline

    class Whole(SpanDiarization):
        has_trunk = False

    dialog = Dialog(three.waveform[: 12 * SAMPLE_RATE_HZ], (), (), "")
    spans = {"uri": "dialog", "source": source(dialog)}

    found = load_pipeline(DEMO, read_config(DEMO), kind=Whole).apply(spans)

    assert found.speaker_diarization == theirs(as_pyannote_reads(dialog)).speaker_diarization


def references(source: Any, *voices: Any) -> tuple[KnownSpeaker, ...]:
    texts = ("The contract is due on Thursday.", "I think Emma found the white car.")
    return tuple(KnownSpeaker(v.name, source(alone(v, *texts))) for v in voices)


def test_known_voices_go_by_their_names(diarizer, source, three):
    known = references(source, *reversed(THREE))

    found = diarizer.find_turns(
        source(three), DiarizationOptions(known_speakers=known, wants_embeddings=True)
    )

    assert {turn.speaker for turn in found.turns} == {voice.name for voice in THREE}
    assert set(found.embeddings) == {voice.name for voice in THREE}
    truth = {(t.speaker, round(t.start)) for t in three.turns}
    named = {(t.speaker, round(t.start)) for t in found.turns}
    assert len(truth & named) >= 0.8 * len(truth)


def test_unknown_voices_keep_their_numbers(diarizer, source, three):
    absent = UNSEEN[8]

    found = diarizer.find_turns(
        source(three), DiarizationOptions(known_speakers=references(source, THREE[1], absent))
    )

    speakers = {turn.speaker for turn in found.turns}
    assert THREE[1].name in speakers
    assert absent.name not in speakers
    assert len(speakers) == 3
    assert speakers - {THREE[1].name} < {"SPEAKER_00", "SPEAKER_01", "SPEAKER_02"}


def test_a_reference_in_which_nobody_speaks_is_warned_of(diarizer, source, two):
    known = (
        KnownSpeaker("Ann", source(np.zeros(3 * SAMPLE_RATE_HZ, np.int16))),
        KnownSpeaker("Bob", source(np.zeros(0, np.int16))),
        *references(source, TWO[0]),
    )

    found = diarizer.find_turns(source(two), DiarizationOptions(known_speakers=known))

    assert [warned.code for warned in found.warnings] == ["known_speaker_unusable"] * 2
    assert "'Ann'" in found.warnings[0].message
    assert TWO[0].name in {turn.speaker for turn in found.turns}


def test_words_at_their_true_times_get_the_right_speaker(diarizer, source, two, three):
    counted = [
        words_with_speakers(d, diarizer.find_turns(source(d), DiarizationOptions()))
        for d in (two, three)
    ]

    assert sum(right for right, _ in counted) >= 0.95 * sum(n for _, n in counted)


def test_pyannote_reports_nothing(diarizer):
    from pyannote.audio.telemetry.metrics import is_metrics_enabled

    assert not is_metrics_enabled()
