"""Synthetic people to train the demo diarization pipeline on; it is measured on others."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from models.training.demo_diarization.dialogs import DEVELOPMENT, UNSEEN
from models.training.demo_model.corpus import draw_training
from models.training.demo_model.voices import ACCENTS, SAMPLE_RATE_HZ, Espeak, trim

TRAINING_VARIANTS = (
    "Alex Alicia Henrique Jacky Lee Michael Nguyen Storm adam antonio aunty belinda benjamin "
    "boris caleb edward f1 f2 f3 f5 grandma iven john kaukovalta klatt klatt2 klatt3 klatt4 linda "
    "m1 m3 m4 m5 m7 m8 marcelo max michel miguel paul pedro quincy sandro shelby steph steph2 "
    "travis victor zac"
).split()
_SENTENCES = 6_000
_FRAME = SAMPLE_RATE_HZ // 100


@dataclass(frozen=True)
class Person:
    """A voice of espeak-ng at a pitch and a rate; `stretch` moves its formants as well."""

    voice: str
    pitch: int
    rate_wpm: int
    stretch: float


@dataclass(frozen=True)
class Recording:
    """
    One sentence of one person.

    Attributes:
        waveform: (n_samples,) int16, mono, 16 kHz.
        active: (n_samples // 160,) bool, whether there is sound in each 10 ms.
    """

    waveform: NDArray[np.int16]
    active: NDArray[np.bool_]


def draw_people(n_per_variant: int, seed: int) -> list[Person]:
    """Several people for each variant, apart in accent, pitch, rate and formants."""
    unfit = {voice.name.partition("+")[2] for voice in (*UNSEEN, *DEVELOPMENT)}
    assert not unfit & set(TRAINING_VARIANTS)
    draw = random.Random(seed)
    return [
        Person(
            f"{accent}+{variant}",
            draw.randint(20, 80),
            draw.randint(130, 190),
            1.0 if draw.random() < 0.6 else draw.choice((0.85, 0.9, 1.1, 1.17)),
        )
        for variant in TRAINING_VARIANTS
        for accent in draw.sample(ACCENTS, n_per_variant)
    ]


def record(people: list[Person], n_each: int, seed: int) -> list[list[Recording]]:
    """Let everybody say so many sentences of the phrase-book."""
    draw, espeak = random.Random(seed), Espeak()
    sentences = [s.text for s in draw_training(_SENTENCES) if s.language == "en"]
    return [
        [_record(espeak, person, draw.choice(sentences)) for _ in range(n_each)]
        for person in people
    ]


def _record(espeak: Espeak, person: Person, text: str) -> Recording:
    spoken, _ = espeak.speak(text, person.voice, person.rate_wpm, person.pitch)
    if person.stretch != 1.0:
        spoken = resample_poly(spoken, 100, round(100 * person.stretch)).astype(np.float32)
    waveform, _ = trim(spoken)
    return Recording(waveform, activity(waveform))


def activity(waveform: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Whether there is sound in each 10 ms; pauses below a quarter of a second count as sound."""
    n = len(waveform) // _FRAME
    frames = np.abs(waveform[: n * _FRAME].astype(np.float32) / 32768).reshape(n, _FRAME)
    active = frames.mean(axis=1) > 0.008
    loud = np.flatnonzero(active)
    for before, after in zip(loud, loud[1:], strict=False):
        if after - before <= 25:
            active[before:after] = True
    return active
