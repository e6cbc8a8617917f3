"""Makes long recordings of short ones: pauses, levels, noise, a lossy codec, and a known text."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.speech import Clip, Utterance
from models.training.demo_model.corpus import write_encoded
from worker.audio.constants import SAMPLE_RATE_HZ

PAUSE_S = (0.3, 5.0)
NOISY_S = (20.0, 60.0)
"""Seconds of noise, and seconds without."""

SPEECH_DB = -26.0
"""Average level of speech, with full scale 1."""

JITTER_DB = 6.0
SNR_DB = 10.0
ROOM_DB = -60.0
BIT_RATE = 32_000
ONCE_S = 20.0
"""A clip of this length or more comes only once in a recording, to leave room for the others."""

_FADE_S = 0.01
_NOISE_FADE_S = 0.5

Samples = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording that was made: (n_samples,) float32, 16 kHz, and who says what when."""

    samples: Samples
    utterances: tuple[Utterance, ...]


@dataclass(frozen=True, eq=False)
class Spoken:
    """A clip with its samples, at the same level of speech as all."""

    clip: Clip
    samples: Samples

    @classmethod
    def of(cls, clip: Clip) -> Spoken:
        """Read a clip, and bring its speech to the level of all clips."""
        samples = clip.read()
        said = [samples[_at(u.start) : _at(u.end)] for u in clip.utterances]
        return cls(clip, samples * (_gain(SPEECH_DB) / _level(np.concatenate(said))))


def draw_recording(
    spoken: Sequence[Spoken], noises: Sequence[Samples], *, seed: int, length_s: float
) -> Recording:
    """
    Put clips together in random order until the recording is long enough.

    Clips are not cut. Each comes as often as any other, except those of `ONCE_S` and more, which
    come at most once.

    Args:
        noises: For half of the time, one of them is added.
        seed: The same seed gives the same recording.
    """
    draw = random.Random(seed)
    pieces: list[Samples] = []
    utterances: list[Utterance] = []
    n = 0
    for one in _in_turn(spoken, draw):
        pause = _at(draw.uniform(*PAUSE_S))
        if n + pause + len(one.samples) > _at(length_s):
            break
        samples = _faded(one.samples * _gain(draw.uniform(-JITTER_DB, JITTER_DB)), _FADE_S)
        begins_s = (n + pause) / SAMPLE_RATE_HZ
        utterances += [
            replace(u, start=u.start + begins_s, end=u.end + begins_s) for u in one.clip.utterances
        ]
        pieces += [np.zeros(pause, np.float32), samples]
        n += pause + len(samples)
    whole = np.concatenate([*pieces, np.zeros(_at(draw.uniform(*PAUSE_S)), np.float32)])
    whole += _background(len(whole), noises, draw)
    return Recording(np.clip(whole, -1, 1), tuple(utterances))


def _in_turn(spoken: Sequence[Spoken], draw: random.Random) -> Iterator[Spoken]:
    """All clips in random order, then the short ones in another order, and so on."""
    left = list(spoken)
    while left:
        draw.shuffle(left)
        yield from left
        left = [one for one in left if one.clip.duration_s < ONCE_S]


def _background(n_samples: int, noises: Sequence[Samples], draw: random.Random) -> Samples:
    """A faint background everywhere; for half of the time a noise, in long stretches."""
    room = np.random.default_rng(draw.randrange(2**32))
    background = room.standard_normal(n_samples).astype(np.float32) * np.float32(_gain(ROOM_DB))
    at, is_noisy = 0, draw.random() < 0.5
    while at < n_samples and noises:
        n = min(_at(draw.uniform(*NOISY_S)), n_samples - at)
        if is_noisy:
            noise = draw.choice(noises)
            looped = np.resize(np.roll(noise, draw.randrange(len(noise))), n)
            looped *= _gain(SPEECH_DB - SNR_DB) / _level(noise)
            background[at : at + n] += _faded(looped, _NOISE_FADE_S)
        at, is_noisy = at + n, not is_noisy
    return background


def make_noises(seed: int = 0, length_s: float = 20.0) -> dict[str, Samples]:
    """Sounds in which nobody speaks, including silence, by name."""
    n = _at(length_s)
    draw = np.random.default_rng(seed)
    white = draw.standard_normal(n)
    spectrum = np.fft.rfft(draw.standard_normal(n))
    spectrum /= np.sqrt(np.maximum(1, np.arange(len(spectrum))))
    time_s = np.arange(n) / SAMPLE_RATE_HZ
    hum = sum(np.sin(2 * np.pi * 50 * k * time_s) / k for k in (1, 2, 3, 5))
    clicks = np.zeros(n)
    clicks[draw.integers(0, n, size=int(length_s * 2))] = 1.0
    clicks = np.convolve(clicks, np.exp(-np.arange(80) / 16), mode="same")
    made = {"white": white, "pink": np.fft.irfft(spectrum, n), "hum": hum, "clicks": clicks}
    noises = {
        name: (wave * (_gain(SPEECH_DB - SNR_DB) / _level(wave))).astype(np.float32)
        for name, wave in made.items()
    }
    silences = {f"silence of {s:.0f} s": np.zeros(_at(s), np.float32) for s in (3.0, 35.0)}
    return {**noises, **silences}


def write_mp3(path: Path, samples: Samples) -> None:
    """Write (n_samples,) float32 as an mp3 of 32 kbit/s, mono, 16 kHz."""
    whole = (samples * 32767).astype(np.int16)
    write_encoded(str(path), whole, "mp3", "libmp3lame", BIT_RATE)


def _at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)


def _gain(decibels: float) -> float:
    return float(10 ** (decibels / 20))


def _level(samples: NDArray[np.floating]) -> float:
    """Root mean square; never 0."""
    return max(1e-9, float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))))


def _faded(samples: Samples, fade_s: float) -> Samples:
    n = min(_at(fade_s), len(samples) // 2)
    ramp = np.linspace(0, 1, n, dtype=np.float32)
    faded = samples.astype(np.float32)
    faded[:n] *= ramp
    faded[len(faded) - n :] *= ramp[::-1]
    return faded
