"""Streams to be heard as they are spoken, made of recordings; when each word is said is known."""

from __future__ import annotations

import random
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import butter, resample_poly, sosfilt

from bench.evaluation.recordings import Samples, Spoken, make_noises
from bench.evaluation.speech import Utterance, english, read_clips
from bench.live.word_times import WordTimes
from worker.audio.constants import SAMPLE_RATE_HZ

READ, TELEPHONE = "read", "telephone"
"""The kinds: read speech with a long silence inside, and short turns by telephone with noise."""

SILENCE_S = 6.0
_PAUSES_S = {READ: (0.3, 1.5), TELEPHONE: (0.2, 1.0)}
_LEAD_S, _END_S = 0.6, 0.2
_ROOM_DB = -66.0
_TELEPHONE_HZ = 8_000
_BAND_HZ = (300.0, 3400.0)
_SNR_DB = 15.0
_MU = 255.0


@dataclass(frozen=True, eq=False)
class Stream:
    """
    Audio that is fed at the speed at which it is spoken.

    Attributes:
        samples: (n_samples,) float32, mono, 16 kHz.
        words: Each word that is said, and when.
    """

    name: str
    kind: str
    samples: Samples
    words: tuple[Utterance, ...]

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def pcm(self) -> bytes:
        """16-bit little-endian samples."""
        return (np.clip(self.samples, -1, 1) * 32767).astype("<i2").tobytes()

    def write(self, path: Path) -> None:
        """Write it as a WAV file of 16 bits."""
        with wave.open(str(path), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(SAMPLE_RATE_HZ)
            out.writeframes(self.pcm)


def make_streams(
    speech: Path, times: WordTimes, *, half: int, n_each: int, seed: int = 0
) -> Iterator[Stream]:
    """
    Make some streams of each kind. In each, every English clip of a half is heard once.

    Args:
        speech: The folder of recordings.
        half: 0 to choose parameters, 1 to report.
        n_each: How many of each kind.
        seed: The same seed gives the same streams.

    Raises:
        FileNotFoundError: There are no recordings in `speech`.
    """
    clips = read_clips(speech)
    spoken = [Spoken.of(clip) for clip in english(clips, half)]
    noises = [clip.read() for clip in clips if not clip.utterances]
    noises = noises or list(make_noises().values())[:2]
    for n in range(n_each):
        for kind in (READ, TELEPHONE):
            draw = random.Random(f"{seed} {half} {kind} {n}")
            samples, words = _join(spoken, kind, draw, times)
            if kind == TELEPHONE:
                samples = _by_telephone(samples, draw.choice(noises), draw)
            yield Stream(f"{kind}-{half}-{n}", kind, samples, words)


def _join(
    spoken: Sequence[Spoken], kind: str, draw: random.Random, times: WordTimes
) -> tuple[Samples, tuple[Utterance, ...]]:
    """All clips in random order, with pauses; read speech has a long silence in the middle."""
    order = draw.sample(list(spoken), len(spoken))
    pieces = [np.zeros(_at(_LEAD_S), np.float32)]
    words: list[Utterance] = []
    n = len(pieces[0])
    for index, one in enumerate(order):
        begins_s = n / SAMPLE_RATE_HZ
        words += [
            Utterance(word.text, word.start + begins_s, word.end + begins_s)
            for word in times.of(one.clip)
        ]
        pause_s = draw.uniform(*_PAUSES_S[kind])
        if kind == READ and index == len(order) // 2:
            pause_s = SILENCE_S
        if index == len(order) - 1:
            pause_s = _END_S
        pieces += [one.samples, np.zeros(_at(pause_s), np.float32)]
        n += len(one.samples) + len(pieces[-1])
    room = np.random.default_rng(draw.randrange(2**32)).standard_normal(n).astype(np.float32)
    whole = np.concatenate(pieces) + room * np.float32(10 ** (_ROOM_DB / 20))
    return np.clip(whole, -1, 1), tuple(words)


def _by_telephone(samples: Samples, noise: Samples, draw: random.Random) -> Samples:
    """What arrives of it by telephone: a narrow band, noise, and mu-law of 8 bits (G.711)."""
    loudness = float(np.sqrt(np.mean(np.square(samples[np.abs(samples) > 0.01]))))
    level = float(np.sqrt(np.mean(np.square(noise)))) + 1e-9
    looped = np.resize(np.roll(noise, draw.randrange(len(noise))), len(samples))
    noisy = samples + looped * (loudness * 10 ** (-_SNR_DB / 20) / level)
    band = butter(4, _BAND_HZ, "bandpass", fs=_TELEPHONE_HZ, output="sos")
    narrow = resample_poly(noisy, 1, SAMPLE_RATE_HZ // _TELEPHONE_HZ)
    narrow = np.clip(sosfilt(band, narrow), -1, 1)
    coded = np.round(np.sign(narrow) * np.log1p(_MU * np.abs(narrow)) / np.log1p(_MU) * 127) / 127
    heard = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(_MU)) / _MU
    wide = resample_poly(heard, SAMPLE_RATE_HZ // _TELEPHONE_HZ, 1)
    return np.clip(wide[: len(samples)], -1, 1).astype(np.float32)


def _at(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
