"""Sounds in which nobody speaks, made by seed: noise, music, and silence with a hum."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from worker.audio.constants import SAMPLE_RATE_HZ

Samples = NDArray[np.float64]


def _silence(n: int, draw: np.random.Generator) -> Samples:
    return np.zeros(n)


def _hum(n: int, draw: np.random.Generator) -> Samples:
    """A mains hum with its overtones under a little hiss."""
    time = np.arange(n) / SAMPLE_RATE_HZ
    hum = sum(np.sin(2 * np.pi * 50 * k * time) / k for k in range(1, 6))
    return 0.02 * hum + 0.003 * draw.standard_normal(n)


def _white_noise(n: int, draw: np.random.Generator) -> Samples:
    return draw.standard_normal(n)


def _pink_noise(n: int, draw: np.random.Generator) -> Samples:
    spectrum = np.fft.rfft(draw.standard_normal(n))
    return np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), n)


def _tone(n: int, draw: np.random.Generator) -> Samples:
    return np.sin(2 * np.pi * draw.uniform(200, 2000) * np.arange(n) / SAMPLE_RATE_HZ)


def _notes(n: int, draw: np.random.Generator, per_chord: int) -> Samples:
    """Notes of a scale in a row, plucked: each has overtones and fades."""
    scale = 220 * 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16]) / 12)
    length = SAMPLE_RATE_HZ * 2 // 5
    time = np.arange(length) / SAMPLE_RATE_HZ
    out = []
    for _ in range(n // length + 1):
        pitches = draw.choice(scale, per_chord, replace=False)
        waves = [np.sin(2 * np.pi * f * k * time) / k**2 for f in pitches for k in range(1, 7)]
        out.append(np.sum(waves, axis=0) * np.exp(-3 * time) * np.minimum(1, time / 0.01))
    return np.concatenate(out)[:n]


def _melody(n: int, draw: np.random.Generator) -> Samples:
    return _notes(n, draw, 1)


def _chords(n: int, draw: np.random.Generator) -> Samples:
    return _notes(n, draw, 3)


def _drums(n: int, draw: np.random.Generator) -> Samples:
    """A low thump and a short hiss in turn, 120 a minute."""
    length = SAMPLE_RATE_HZ // 2
    time = np.arange(length) / SAMPLE_RATE_HZ
    thump = np.sin(2 * np.pi * 60 * time) * np.exp(-20 * time)
    beats = [
        thump if i % 2 == 0 else draw.standard_normal(length) * 0.5 * np.exp(-40 * time)
        for i in range(n // length + 1)
    ]
    return np.concatenate(beats)[:n]


SOUNDS: Mapping[str, Callable[[int, np.random.Generator], Samples]] = {
    "silence": _silence,
    "hum": _hum,
    "white noise": _white_noise,
    "pink noise": _pink_noise,
    "tone": _tone,
    "melody": _melody,
    "chords": _chords,
    "drums": _drums,
}


def make_sound(name: str, length_s: float, seed: int, level: float = 0.08) -> NDArray[np.int16]:
    """
    A sound of the list, the same for the same seed.

    Args:
        level: Root mean square, full scale being 1; but a peak is nowhere cut off.

    Returns:
        (n_samples,) int16, mono, 16 kHz.
    """
    made = SOUNDS[name](round(length_s * SAMPLE_RATE_HZ), np.random.default_rng(seed))
    rms, peak = np.sqrt((made**2).mean()) + 1e-9, np.abs(made).max() + 1e-9
    return (made * min(level / rms, 0.95 / peak) * 32767).astype(np.int16)
