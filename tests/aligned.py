"""Speech whose synthesiser told its times, and the demo aligner that looks for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.training.demo_model.clips import draw_utterances
from models.training.demo_model.voices import Utterance
from shared.settings import CHECKOUT
from shared.transcript import Segment, Word
from worker.alignment import Aligner, open_aligner
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource
from worker.models.store import ModelStore

MakeAudio = Callable[[NDArray[np.int16]], AudioSource]


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    return open_aligner("demo-aligner-en", ModelStore(CHECKOUT / "models"), device="cpu")


@pytest.fixture(scope="module")
def said() -> list[Utterance]:
    """Sentences by voices never trained on, whose words begin at known times."""
    return [u for u in draw_utterances(100, 17, "en") if u.words]


@pytest.fixture
def audio_of(tmp_path: Path) -> MakeAudio:
    def write(samples: NDArray[np.int16]) -> AudioSource:
        path = tmp_path / "audio.pcm"
        path.write_bytes(samples.astype("<i2").tobytes())
        return AudioSource(path, len(samples))

    return write


def segment(text: str, start: float, end: float, words: Sequence[Word] | None = None) -> Segment:
    return Segment(
        id=0, seek=0, start=start, end=end, text=text, tokens=(), temperature=0.0,
        avg_logprob=-0.1, compression_ratio=1.0, no_speech_prob=0.0,
        words=None if words is None else tuple(words),
    )  # fmt: skip


def word(text: str, start: float, end: float) -> Word:
    return Word(word=text, start=start, end=end, probability=0.5)


def seconds(utterance: Utterance) -> float:
    return len(utterance.waveform) / SAMPLE_RATE_HZ


def with_pauses(*utterances: Utterance) -> NDArray[np.int16]:
    """Utterances with a pause of half a second before, between and after them."""
    pause = np.zeros(SAMPLE_RATE_HZ // 2, np.int16)
    return np.concatenate([pause, *(part for u in utterances for part in (u.waveform, pause))])


def assert_in_order(values: Sequence[object], low: float, high: float) -> None:
    """Times are finite numbers, each start before its end, none before the one before it."""
    times = [(getattr(v, "start"), getattr(v, "end")) for v in values]  # noqa: B009
    assert all(math.isfinite(start) and math.isfinite(end) for start, end in times)
    assert all(low <= start <= end <= high for start, end in times)
    assert [start for start, _ in times] == sorted(start for start, _ in times)
