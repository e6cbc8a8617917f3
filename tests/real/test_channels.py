"""Each channel by itself: a dialogue in which two speak at once, each in a channel of theirs."""

from __future__ import annotations

import wave
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from real_speech import samples_of, write_wav

from shared.formats import render, tidy
from shared.formats.cues import cues_of
from shared.formats.options import FormatOptions
from shared.request import TranscriptionRequest
from shared.transcript import Segment, Transcript
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import decode_channels
from worker.channels import transcribe_channels
from worker.processes.local import LocalModels

pytestmark = pytest.mark.speech

Hear = Callable[..., Transcript]

LEFT = ["sb_spk1_snt1.wav", "sb_spk1_snt2.wav", "sb_spk1_snt3.wav"]
RIGHT = ["austen_0930.wav", "cards_002.wav", "austen_0880.wav"]


@pytest.fixture(scope="module")
def channels(speech_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[NDArray[np.int16]]:
    """Two voices that talk over each other, one a channel."""
    folder = tmp_path_factory.mktemp("channels")
    told = []
    for names, delay_s in ((LEFT, 0.0), (RIGHT, 1.0)):
        pieces = [np.zeros(round(delay_s * SAMPLE_RATE_HZ), np.int16)]
        for name in names:
            said = samples_of(speech_dir / "clips" / name, folder)
            pieces += [said, np.zeros(6000, np.int16)]
        told.append(np.concatenate(pieces))
    n = max(map(len, told))
    return [np.pad(channel, (0, n - len(channel))) for channel in told]


def write_stereo(path: Path, channels: list[NDArray[np.int16]]) -> Path:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(len(channels))
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes(np.stack(channels, axis=1).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def hear_channels(
    real: LocalModels, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Transcript]:
    """A function that transcribes each channel of a file with `base`, the same one once."""
    folder = tmp_path_factory.mktemp("heard")
    heard: dict[tuple[bytes, str], Transcript] = {}

    def run(path: Path, **options: object) -> Transcript:
        request = TranscriptionRequest.model_validate({"multichannel": True, **options})
        key = path.read_bytes(), request.model_dump_json()
        if key not in heard:
            found = decode_channels(path, folder / "audio.pcm")
            heard[key] = transcribe_channels(found, request, real, lambda *_: None, model="base")
        return heard[key]

    return run


def bare(segment: Segment) -> dict[str, object]:
    """A segment without what the others of a transcript make of it."""
    words = segment.words and tuple(w.model_copy(update={"speaker": None}) for w in segment.words)
    return segment.model_copy(update={"id": 0, "speaker": None, "words": words}).model_dump()


@pytest.mark.parametrize("word_timestamps", [False, True])
def test_each_channel_has_the_text_it_has_alone_and_a_speaker_of_its_own(
    hear: Hear,
    hear_channels: Callable[..., Transcript],
    channels: list[NDArray[np.int16]],
    tmp_path: Path,
    word_timestamps: bool,
) -> None:
    options = {"word_timestamps": word_timestamps, "align": False}
    together = hear_channels(write_stereo(tmp_path / "both.wav", channels), **options)

    for n, samples in enumerate(channels):
        alone = hear(write_wav(tmp_path / f"{n}.wav", [samples]), **options)
        own = [s for s in together.segments if s.speaker == f"SPEAKER_0{n}"]
        assert list(map(bare, own)) == list(map(bare, alone.segments))
        assert len(own) >= 2
        assert {w.speaker for s in own for w in s.words or ()} <= {f"SPEAKER_0{n}"}
    starts = [segment.start for segment in together.segments]
    assert starts == sorted(starts)
    assert [segment.id for segment in together.segments] == list(range(len(starts)))
    assert len({segment.speaker for segment in together.segments}) == 2
    speakers = [segment.speaker for segment in together.segments]
    assert speakers != sorted(speakers)  # they are told in turn, not one after the other


def test_the_text_of_overlapping_channels_is_whole_in_every_format(
    hear_channels: Callable[..., Transcript], channels: list[NDArray[np.int16]], tmp_path: Path
) -> None:
    heard = hear_channels(
        write_stereo(tmp_path / "both.wav", channels),
        word_timestamps=True, align=False, speaker_names={"SPEAKER_00": "Ann"},
    )  # fmt: skip

    shown = tidy(heard)
    assert [(s.start, s.end) for s in shown.segments] == [
        (round(s.start, 3), round(s.end, 3)) for s in heard.segments
    ]
    for name in ("text", "srt", "vtt", "tsv", "json", "verbose_json", "whisper"):
        written = render(heard, name)
        for word in ("small dog", "figures", "pure"):
            assert word in written, name
    assert render(heard, "srt").count("[Ann]: ") == render(heard, "vtt").count("<v Ann>") >= 2
    turns = [line.split() for line in render(heard, "rttm").splitlines()]
    assert {turn[7] for turn in turns} == {"Ann", "SPEAKER_01"}
    assert all(float(turn[4]) > 0 for turn in turns)
    assert heard.duration_after_vad <= heard.duration


def test_of_one_channel_there_is_one_speaker_and_a_silent_one_says_nothing(
    hear: Hear,
    hear_channels: Callable[..., Transcript],
    channels: list[NDArray[np.int16]],
    tmp_path: Path,
) -> None:
    alone = write_wav(tmp_path / "alone.wav", [channels[0]])
    silent_first = write_stereo(tmp_path / "two.wav", [channels[0] * 0, channels[0]])

    one, two = hear_channels(alone), hear_channels(silent_first)

    text = hear(alone).text
    assert (one.text, two.text) == (text, text)
    assert {segment.speaker for segment in one.segments} == {"SPEAKER_00"}
    assert {segment.speaker for segment in two.segments} == {"SPEAKER_01"}
    assert {turn.speaker for turn in two.turns or ()} == {"SPEAKER_01"}


@pytest.mark.parametrize(
    "options",
    [
        {"highlight_words": True},
        {"max_words_per_line": 3},
        {"max_line_width": 20, "max_line_count": 2},
        {"segment_resolution": "sentence"},
        {},
    ],
)
def test_cues_of_overlapping_channels_are_in_order_and_hold_every_word(
    hear_channels: Callable[..., Transcript],
    channels: list[NDArray[np.int16]],
    tmp_path: Path,
    options: dict[str, Any],
) -> None:
    heard = hear_channels(
        write_stereo(tmp_path / "both.wav", channels), word_timestamps=True, align=False
    )

    cues = list(cues_of(tidy(heard), FormatOptions(**options), has_prefix=False))

    starts = [cue.start for cue in cues]
    assert starts == sorted(starts)
    for speaker in ("SPEAKER_00", "SPEAKER_01"):
        told = " ".join(cue.text for cue in cues if cue.speaker == speaker).split()
        said = " ".join(s.text for s in heard.segments if s.speaker == speaker).split()
        if "highlight_words" not in options:  # which shows every word again and again
            assert told == said
        own = [cue for cue in cues if cue.speaker == speaker]
        assert all(a.end <= b.start for a, b in pairwise(own))
