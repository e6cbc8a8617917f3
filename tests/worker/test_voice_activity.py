"""The models that find speech: what they are given, and that they say what their authors say."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from needs import missing
from numpy.typing import NDArray
from sounds import SOUNDS, make_sound

from models.training.demo_model.clips import draw_utterances
from shared.errors import EngineFailed
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource, Span
from worker.speech.detection import SpeechOptions, speech_spans
from worker.speech.voice_activity import (
    WINDOW,
    Method,
    measure_voice,
    segmentation_weights,
    with_fundamental,
)

pytestmark = pytest.mark.speech

MELODY = "melody"
"""Single notes at the pitch of a voice: the one of these sounds that the models doubt about."""


@dataclass(frozen=True)
class WatchedAudio(AudioSource):
    """Audio that remembers how much of it was read at a time."""

    lengths: list[int] = field(default_factory=list)

    def read(self, start: int, end: int) -> NDArray[np.float32]:
        """See `AudioSource.read`."""
        self.lengths.append(end - start)
        return super().read(start, end)


def audio_of(path: Path, samples: NDArray[np.int16]) -> WatchedAudio:
    samples.tofile(path)
    return WatchedAudio(path, len(samples))


def whole(audio: AudioSource) -> Span:
    return Span(0, audio.n_samples)


def seconds_of_speech(audio: AudioSource, method: Method) -> float:
    options = SpeechOptions(method=method, pad_s=0)
    found = speech_spans(measure_voice(audio, whole(audio), method), whole(audio), options)
    return sum(span.duration_s for span in found)


@pytest.fixture
def spoken(tmp_path: Path) -> WatchedAudio:
    """Twelve sentences with two seconds of silence around each."""
    pause = np.zeros(2 * SAMPLE_RATE_HZ, np.int16)
    pieces = [part for said in draw_utterances(12, seed=41) for part in (pause, said.waveform)]
    return audio_of(tmp_path / "spoken.pcm", np.concatenate([*pieces, pause]))


@pytest.fixture(params=["silero", "pyannote"])
def method(request: pytest.FixtureRequest) -> Method:
    if request.param == "pyannote" and find_spec("whisperx") is None:
        missing("whisperx is not installed")
    method: Method = request.param
    return method


def test_silero_says_what_faster_whisper_says_of_the_same_seconds(tmp_path: Path) -> None:
    from faster_whisper.vad import get_vad_model

    said = np.concatenate([u.waveform for u in draw_utterances(8, seed=42)])[: 8 * SAMPLE_RATE_HZ]
    padded = np.pad(said.astype(np.float32) / 32768, (0, -len(said) % WINDOW))

    audio = audio_of(tmp_path / "a.pcm", said)

    found = measure_voice(audio, whole(audio), "silero")

    # faster-whisper drops the end of the last window.
    theirs = get_vad_model()(padded).reshape(-1)
    assert np.allclose(found.speech_probs[:-1], theirs[:-1], atol=1e-5)


def test_a_sentence_is_heard_after_half_a_minute_of_background(tmp_path: Path) -> None:
    # Background of many voices: silero's own state takes what follows for more of the same.
    babble = sum(
        np.resize(u.waveform.astype(np.float64), 60 * SAMPLE_RATE_HZ)
        for u in draw_utterances(12, seed=5)
    )
    background = 0.02 * 32768 * babble / np.abs(babble).max()
    [said] = draw_utterances(1, seed=44)
    n = 40 * SAMPLE_RATE_HZ
    background[n : n + len(said.waveform)] += said.waveform
    audio = audio_of(tmp_path / "a.pcm", np.clip(background, -32768, 32767).astype(np.int16))

    levels = measure_voice(audio, whole(audio), "silero").speech_probs

    spoken = levels[n // WINDOW : (n + len(said.waveform)) // WINDOW]
    assert np.mean(spoken > 0.5) > 0.6


@pytest.mark.filterwarnings("ignore")  # of whisperx's own imports
@pytest.mark.parametrize("length_s", [0.5, 3.0, 5.0, 5.5, 23.7, None])
def test_pyannote_finds_the_speech_that_whisperx_finds(
    spoken: WatchedAudio, length_s: float | None
) -> None:
    if find_spec("whisperx") is None:
        missing("whisperx is not installed")
    import torch
    from whisperx.vads.pyannote import Binarize, load_vad_model

    audio = spoken
    if length_s is not None:
        audio = WatchedAudio(spoken.path, round(length_s * SAMPLE_RATE_HZ))
    waveform = torch.from_numpy(audio.read(0, audio.n_samples))[None]
    scores = load_vad_model("cpu")({"waveform": waveform, "sample_rate": SAMPLE_RATE_HZ})
    theirs = list(Binarize(onset=0.5, offset=0.363)(scores).get_timeline())
    as_whisperx = SpeechOptions(method="pyannote", min_speech_s=0, min_silence_s=0, pad_s=0)

    activity = measure_voice(audio, whole(audio), "pyannote")
    ours = speech_spans(activity, whole(audio), as_whisperx)

    n = min(len(activity.speech_probs), len(scores.data))
    assert abs(len(activity.speech_probs) - len(scores.data)) <= 1
    assert np.abs(activity.speech_probs[:n] - scores.data[:n, 0]).max() < 1e-4
    assert len(ours) == len(theirs)
    frame_s = activity.step / SAMPLE_RATE_HZ
    for span, segment in zip(ours, theirs, strict=True):
        assert abs(span.start / SAMPLE_RATE_HZ - segment.start) < 0.001
        assert abs(span.end / SAMPLE_RATE_HZ - segment.end) < (
            0.001 if span.end < audio.n_samples else 2 * frame_s
        )


def test_audio_is_read_a_little_at_a_time(spoken: WatchedAudio, method: Method) -> None:
    measure_voice(spoken, whole(spoken), method)

    assert max(spoken.lengths) <= 10 * SAMPLE_RATE_HZ


def test_a_part_is_measured_on_the_clock_of_the_whole(spoken: WatchedAudio, method: Method) -> None:
    part = Span(spoken.n_samples // 3, spoken.n_samples * 2 // 3)

    of_part = speech_spans(measure_voice(spoken, part, method), part)
    of_whole = speech_spans(measure_voice(spoken, whole(spoken), method), whole(spoken))

    inside = [span for span in of_whole if part.start < span.start and span.end < part.end]
    assert len(inside) > 2
    for span in inside:
        near = min(of_part, key=lambda found: abs(found.start - span.start))  # noqa: B023
        assert abs(near.start - span.start) < 0.2 * SAMPLE_RATE_HZ
        assert abs(near.end - span.end) < 0.2 * SAMPLE_RATE_HZ


@pytest.mark.parametrize("level", [0.01, 0.08, 0.3])
@pytest.mark.parametrize("name", [name for name in SOUNDS if name != MELODY])
def test_silence_noise_and_music_hold_no_speech(
    tmp_path: Path, method: Method, name: str, level: float
) -> None:
    audio = audio_of(tmp_path / "a.pcm", make_sound(name, 8, seed=1, level=level))

    assert seconds_of_speech(audio, method) == 0


def test_silero_takes_little_of_a_melody_for_speech(tmp_path: Path) -> None:
    audio = audio_of(tmp_path / "a.pcm", make_sound(MELODY, 80, seed=1))

    assert seconds_of_speech(audio, "silero") < 0.05 * audio.duration_s


def test_a_worker_without_the_model_says_what_it_lacks() -> None:
    with pytest.raises(EngineFailed, match="extra 'diarization'.*vad_method=silero") as raised:
        segmentation_weights("a_package_that_is_not_there")

    assert raised.value.param == "vad_method"


PROGRAM = """
import sys
from pathlib import Path
from worker.speech.detection import SpeechOptions, detect_speech
assert not {"torch", "pyannote", "whisperx", "faster_whisper", "numpy"} & sys.modules.keys()
from worker.audio.source import AudioSource
audio = AudioSource(Path(sys.argv[1]), int(sys.argv[2]))
found = detect_speech(audio, SpeechOptions(method="pyannote"))
from pyannote.audio.telemetry.metrics import is_metrics_enabled
assert not is_metrics_enabled()
assert "whisperx" not in sys.modules
print(len(found.lanes))
"""


def test_pyannote_is_imported_when_asked_for_and_reports_nothing(spoken: WatchedAudio) -> None:
    if find_spec("whisperx") is None:
        missing("whisperx is not installed")
    command = [sys.executable, "-c", PROGRAM, str(spoken.path), str(spoken.n_samples)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


def harmonics(lowest: int, seconds: float = 2.0) -> NDArray[np.float32]:
    """A voice's 20 overtones of 125 Hz, from the one of a number on."""
    time = np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    waves = [np.sin(2 * np.pi * 125 * n * time) / n for n in range(lowest, 21)]
    return (0.1 * np.sum(waves, axis=0)).astype(np.float32)


def test_a_voice_without_its_fundamental_is_given_one_back() -> None:
    cut_off, whole = harmonics(3), harmonics(1)

    def power_at(samples: NDArray[np.float32], hz: int) -> float:
        return float(np.abs(np.fft.rfft(samples))[round(hz * len(samples) / SAMPLE_RATE_HZ)])

    restored = with_fundamental(cut_off)
    assert power_at(restored, 125) > 0.1 * power_at(whole, 125) > 100 * power_at(cut_off, 125)
    assert power_at(restored, 500) == pytest.approx(power_at(cut_off, 500), rel=0.01)
    assert with_fundamental(whole) is whole


@pytest.mark.parametrize("n", [0, 1, 100])
def test_hardly_any_samples_stay_as_they_are(n: int) -> None:
    assert len(with_fundamental(np.zeros(n, np.float32))) == n
