"""Real speech in the recordings that strangers make: late, with holes, inverted, quiet, loud."""

from __future__ import annotations

import wave
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from media import Piece, Sound, sound_of, write_media
from numpy.typing import NDArray
from real_speech import n_errors, samples_of, write_wav
from scipy import signal

from shared.transcript import Transcript
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import decode

pytestmark = pytest.mark.speech

Hear = Callable[..., Transcript]
Samples = NDArray[np.float32]

JFK = (
    "And so my fellow Americans ask not what your country can do for you "
    "ask what you can do for your country"
)
SAID = {
    "jfk.flac": JFK,
    "sb_spk1_snt1.wav": "the child almost hurt the small dog",
    "sb_spk1_snt2.wav": "drop the two when you add the figures",
    "sb_spk1_snt3.wav": "at that high level the air is pure",
    "sb_spk1_snt4.wav": "a thin stripe runs down the middle",
    "sb_spk1_snt5.wav": "Sunday is the best part of the week",
    "sb_spk1_snt6.wav": "the pencils have all been used",
}


@pytest.fixture(scope="session")
def clip(speech_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Samples]:
    """A function that reads a recording: (n_samples,) float32, its peak at half of full scale."""
    folder = tmp_path_factory.mktemp("clips")

    def read(name: str) -> Samples:
        samples = samples_of(speech_dir / "clips" / name, folder).astype(np.float32)
        return (samples / np.abs(samples).max() * 0.5).astype(np.float32)

    return read


def wav(path: Path, samples: Samples) -> Path:
    return write_wav(path, [np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16)])


def stereo(path: Path, left: Samples, right: Samples) -> Path:
    return write_media(path, [Sound((Piece(np.stack([left, right])),), "flac", "stereo")])


def first_voice_s(samples: Samples) -> float:
    """When it is first loud in a recording."""
    return float(np.flatnonzero(np.abs(samples) > 0.1 * np.abs(samples).max())[0] / SAMPLE_RATE_HZ)


@pytest.mark.parametrize(("name", "codec"), [("late.mp4", "aac"), ("late.mkv", "libopus")])
@pytest.mark.parametrize("word_timestamps", [False, True])
def test_words_of_a_film_that_begins_silently_have_its_times(
    hear: Hear,
    clip: Callable[[str], Samples],
    tmp_path: Path,
    name: str,
    codec: str,
    word_timestamps: bool,
) -> None:
    said = clip("jfk.flac")
    path = write_media(tmp_path / name, [sound_of(said, 5.0, codec=codec)], pictures_s=17)

    heard = hear(path, word_timestamps=word_timestamps, align=False)

    assert n_errors(JFK, heard.text) <= 1
    assert heard.segments[0].start == pytest.approx(5 + first_voice_s(said), abs=0.3)
    assert heard.duration == pytest.approx(16, abs=0.1)
    if word_timestamps:
        assert heard.segments[0].words
        assert heard.segments[0].words[0].start >= 5.0


def test_what_is_said_after_a_hole_has_the_times_after_it(
    hear: Hear, clip: Callable[[str], Samples], tmp_path: Path
) -> None:
    before, after = clip("sb_spk1_snt1.wav"), clip("sb_spk1_snt2.wav")
    holed = Sound((Piece(before[None]), Piece(after[None], 23.0)), codec="libopus")

    heard = hear(write_media(tmp_path / "hole.webm", [holed]))

    first, *more = heard.segments
    assert n_errors(SAID["sb_spk1_snt1.wav"], first.text) <= 1
    assert first.end <= 3.2
    assert n_errors(SAID["sb_spk1_snt2.wav"], " ".join(s.text for s in more)) <= 1
    assert more[0].start == pytest.approx(23 + first_voice_s(after), abs=0.3)
    assert heard.duration == pytest.approx(23 + len(after) / SAMPLE_RATE_HZ, abs=0.1)


@pytest.mark.parametrize("codec", ["libmp3lame", "flac"])
def test_stereo_that_is_inverted_has_its_words(
    hear: Hear, clip: Callable[[str], Samples], tmp_path: Path, codec: str
) -> None:
    said = clip("jfk.flac")
    both = Sound((Piece(np.stack([said, -said])),), codec, "stereo", rate_hz=44_100)

    heard = hear(write_media(tmp_path / "inverted.mkv", [both]))

    assert n_errors(JFK, heard.text) <= 1


def taking_turns(
    clip: Callable[[str], Samples], names: Sequence[str], pause_s: float = 0.3
) -> tuple[Samples, Samples, list[tuple[float, float]]]:
    """Clips by turns on the left and on the right, and when each is said."""
    channels: tuple[list[Samples], list[Samples]] = ([], [])
    times = []
    for n, name in enumerate(names):
        said = np.pad(clip(name), (0, round(pause_s * SAMPLE_RATE_HZ)))
        at = sum(map(len, channels[0])) / SAMPLE_RATE_HZ
        times.append((at, at + len(said) / SAMPLE_RATE_HZ))
        channels[n % 2].append(said)
        channels[1 - n % 2].append(np.zeros_like(said))
    return np.concatenate(channels[0]), np.concatenate(channels[1]), times


@pytest.mark.parametrize("quieter_db", [-20, -30, -40])
def test_a_caller_who_is_far_quieter_is_heard_at_the_right_times(
    hear: Hear, clip: Callable[[str], Samples], tmp_path: Path, quieter_db: float
) -> None:
    names = [name for name in SAID if name.startswith("sb_")]
    left, right, times = taking_turns(clip, names)
    hiss = np.random.default_rng(4).standard_normal(len(left)).astype(np.float32) * 1e-4

    path = stereo(tmp_path / "call.flac", left + hiss, right * 10 ** (quieter_db / 20) + hiss)
    heard = hear(path)

    assert n_errors(" ".join(SAID[name] for name in names), heard.text) <= 3
    for name, (start, end) in zip(names, times, strict=True):
        last = SAID[name].split()[-1].lower()
        [segment] = [s for s in heard.segments if last in s.text.lower()]
        assert start - 0.3 <= segment.start, name
        assert segment.end <= end + 0.3, name


def test_the_track_that_is_meant_is_heard(
    hear: Hear, clip: Callable[[str], Samples], tmp_path: Path
) -> None:
    other = sound_of(clip("sb_spk1_snt1.wav"), codec="libopus", is_default=False)
    meant = sound_of(clip("jfk.flac"), codec="libopus", is_default=True)
    marked = write_media(tmp_path / "marked.mkv", [other, meant])
    silent = [sound_of(np.zeros(160_000, np.float32)), sound_of(clip("jfk.flac"))]
    quiet_first = write_media(tmp_path / "silent.mp4", silent)

    assert n_errors(JFK, hear(marked).text) <= 1
    assert n_errors(JFK, hear(quiet_first).text) <= 1


@pytest.mark.parametrize("db", [-30, -45, -60])
@pytest.mark.parametrize("name", ["jfk.flac", "sb_spk1_snt5.wav"])
@pytest.mark.parametrize("has_click", [False, True])
def test_a_quiet_recording_is_heard_as_a_usual_one(
    hear: Hear,
    clip: Callable[[str], Samples],
    tmp_path: Path,
    db: float,
    name: str,
    has_click: bool,
) -> None:
    said = clip(name) * 10 ** (db / 20)
    said[:2] = 0.9 if has_click else said[:2]

    heard = hear(wav(tmp_path / "quiet.wav", said))

    assert n_errors(SAID[name], heard.text) <= 1


def test_a_quiet_telephone_call_is_heard_from_its_first_word(
    hear: Hear, clip: Callable[[str], Samples], tmp_path: Path
) -> None:
    line = signal.butter(4, [300, 3400], "band", fs=SAMPLE_RATE_HZ, output="sos")
    quiet = signal.sosfilt(line, clip("jfk.flac")).astype(np.float32) * 0.03
    mu_law = Sound((Piece(quiet[None]),), "pcm_mulaw", rate_hz=8000)

    heard = hear(write_media(tmp_path / "call.wav", [mu_law]))

    assert heard.text.lstrip().lower().startswith("and so")
    assert n_errors(JFK, heard.text) <= 3
    assert heard.segments[0].start < 0.7


@pytest.mark.parametrize("db", [20, 40])
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_f32le"])
def test_what_is_far_over_full_scale_is_heard(
    hear: Hear, clip: Callable[[str], Samples], tmp_path: Path, db: float, codec: str
) -> None:
    loud = clip("jfk.flac") * 10 ** (db / 20)

    heard = hear(write_media(tmp_path / "loud.wav", [Sound((Piece(loud[None]),), codec)]))

    # In 16 bits it is cut off for good.
    assert n_errors(JFK, heard.text) <= (3 if codec == "pcm_s16le" else 1)


def test_usual_recordings_are_given_to_models_as_they_are(speech_dir: Path, tmp_path: Path) -> None:
    """To the last bit: what was measured on them holds."""
    for path in sorted((speech_dir / "clips").glob("*.wav")):
        with wave.open(str(path)) as reader:
            is_plain = reader.getframerate() == SAMPLE_RATE_HZ and reader.getnchannels() == 1
            content = reader.readframes(reader.getnframes())
        if is_plain:
            decode(path, tmp_path / "audio.pcm")
            assert (tmp_path / "audio.pcm").read_bytes() == content, path.name
