"""Recordings to try and measure with, said by voices the demo model never heard, drawn by seed."""

from __future__ import annotations

import random
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.training.demo_model.corpus import read_held_out
from models.training.demo_model.voices import (
    SAMPLE_RATE_HZ,
    Espeak,
    Utterance,
    in_fresh_process,
    say,
)

_PAUSE = SAMPLE_RATE_HZ // 2


@dataclass(frozen=True)
class Clip:
    """A recording on disk and what is said in it."""

    path: Path
    text: str
    language: str
    duration_s: float


def draw_utterances(n: int, seed: int, language: str | None = None) -> list[Utterance]:
    """Say `n` held-out sentences by held-out voices; the same ones for the same seed."""
    return in_fresh_process(_draw_utterances, n, seed, language)


def _draw_utterances(n: int, seed: int, language: str | None) -> list[Utterance]:
    draw, espeak = random.Random(seed), Espeak()
    pool = [s for s in read_held_out() if language in (None, s.language)]
    chosen = [draw.choice(pool) for _ in range(n)]
    return [say(espeak, s.text, s.language, draw, held_out=True) for s in chosen]


def write_wav(path: Path, samples: NDArray[np.int16]) -> Path:
    """Write (n_samples,) int16 at 16 kHz."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes(samples.tobytes())
    return path


def draw_clips(directory: Path, n: int, seed: int) -> list[Clip]:
    """Write `n` clips of one sentence each, in both languages."""
    return [
        _write(directory / f"clip-{seed}-{i}.wav", [said])
        for i, said in enumerate(draw_utterances(n, seed))
    ]


def draw_long_clip(directory: Path, seed: int, length_s: float, language: str = "en") -> Clip:
    """Write one clip of so many seconds: a few sentences, said again and again."""
    said = draw_utterances(8, seed, language)
    mean_s = sum(len(u.waveform) + _PAUSE for u in said) / len(said) / SAMPLE_RATE_HZ
    n = max(1, round(length_s / mean_s))
    chosen = [said[i % len(said)] for i in range(n)]
    return _write(directory / f"long-{seed}-{round(length_s)}.wav", chosen)


def _write(path: Path, utterances: list[Utterance]) -> Clip:
    pause = np.zeros(_PAUSE, np.int16)
    pieces = [pause] + [part for u in utterances for part in (u.waveform, pause)]
    samples = np.concatenate(pieces)
    write_wav(path, samples)
    text = " ".join(u.text for u in utterances)
    return Clip(path, text, utterances[0].language, len(samples) / SAMPLE_RATE_HZ)
