"""Dialogs of synthetic voices, drawn by seed, with exact tables of who says what when."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.training.demo_model.corpus import read_held_out
from models.training.demo_model.voices import (
    SAMPLE_RATE_HZ,
    Espeak,
    in_fresh_process,
    speak_flite,
    trim,
)
from shared.transcript import SpeakerTurn

OVERLAP = 0.12
"""Share of the changes of speaker at which the next one begins too early."""

SPEAKERS = (2, 3, 2, 4)
"""How many speak in the dialogs of a set, in turn."""

_FRAME = SAMPLE_RATE_HZ // 100
_LOUD = 0.008  # mean magnitude of a frame of 10 ms in which somebody speaks
_PAUSE_FRAMES = 25  # a shorter pause does not end a turn
_NOISE = 0.1 * 10 ** (-30 / 20)
_GAIN = 0.7


@dataclass(frozen=True)
class Voice:
    """A synthetic person: an espeak-ng voice at a pitch and a rate, or a voice of flite."""

    name: str
    pitch: int = 50
    rate_wpm: int = 160
    is_flite: bool = False


def _voices(table: str) -> tuple[Voice, ...]:
    rows = (row.split() for row in table.strip().splitlines())
    return tuple(Voice(name, int(pitch), int(rate)) for name, pitch, rate in rows)


UNSEEN = _voices("""
    en-029+Denis            66 178
    en-gb-x-rp+Andrea       72 138
    en-us+Mario             54 184
    en+f4                   68 170
    en-gb-scotland+pablo    50 160
    en-029+Gene             50 160
    en-gb-x-rp+m2           31 165
    en-us+Marco             65 160
    en+Hugo                 28 147
    en-gb-scotland+Diogo    29 148
    en-029+m6               53 145
    en-gb-x-rp+anika        32 156
""")
"""Voices the demo pipeline was neither trained nor tuned on; all results are theirs."""

DEVELOPMENT = _voices("""
    en-029+robert           67 149
    en-gb-x-rp+gustave      25 166
    en-us+Andy              62 146
    en+norbert              41 153
    en-gb-scotland+grandpa  25 144
    en-029+rob              51 169
    en-gb-x-rp+Mike         48 174
    en-us+Annie             61 155
    en+david                33 179
    en-gb-scotland+ed       57 174
""")
"""Voices thresholds are tuned on."""

FLITE = tuple(Voice(name, is_flite=True) for name in ("rms", "slt", "awb", "kal16"))
"""Voices of another synthesizer, of which none was trained on."""


@dataclass(frozen=True)
class SpokenWord:
    """A word of a dialog; `start` and `end` in seconds, the pause after it included."""

    word: str
    start: float
    end: float
    speaker: str


@dataclass(frozen=True)
class Dialog:
    """
    A recording of several people, and the truth about it.

    Attributes:
        waveform: (n_samples,) int16, mono, 16 kHz.
        turns: Who speaks when, in time order; turns of different speakers may overlap.
        words: Every word in time order; empty where the synthesizer tells no times.
        text: What is said, in the order in which it begins.
    """

    waveform: NDArray[np.int16]
    turns: tuple[SpeakerTurn, ...]
    words: tuple[SpokenWord, ...]
    text: str

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.waveform) / SAMPLE_RATE_HZ

    @property
    def speakers(self) -> set[str]:
        """The voices in it."""
        return {turn.speaker for turn in self.turns}


@dataclass(frozen=True)
class _Utterance:
    text: str
    waveform: NDArray[np.int16]
    word_starts: tuple[tuple[int, float], ...]


@cache
def _espeak() -> Espeak:
    return Espeak()


def say(voice: Voice, text: str) -> _Utterance:
    """Say one sentence."""
    if voice.is_flite:
        waveform, _ = trim(speak_flite(text, voice.name))
        return _Utterance(text, waveform, ())
    spoken, words = _espeak().speak(text, voice.name, voice.rate_wpm, voice.pitch)
    waveform, cut_s = trim(spoken)
    starts = ((n, max(0.0, start - cut_s)) for n, start in words)
    return _Utterance(text, waveform, tuple(w for w in starts if re.match(r"\w", text[w[0] :])))


def draw_dialogs(
    n: int, seed: int, *, length_s: float = 60.0, voices: Sequence[Voice] = UNSEEN
) -> list[Dialog]:
    """Draw a set of dialogs of two to four people; the same ones for the same seed."""
    return in_fresh_process(_draw_dialogs, n, seed, length_s, tuple(voices))


def _draw_dialogs(n: int, seed: int, length_s: float, voices: Sequence[Voice]) -> list[Dialog]:
    draw = random.Random(seed)
    counts = [min(len(voices), SPEAKERS[i % len(SPEAKERS)]) for i in range(n)]
    return [
        _draw_dialog(draw.randrange(2**32), draw.sample(list(voices), count), length_s)
        for count in counts
    ]


def draw_dialog(seed: int, voices: Sequence[Voice], *, length_s: float = 60.0) -> Dialog:
    """
    Let people talk, in sentences of the phrase-book that no model was trained on.

    Args:
        voices: Who takes part; everybody speaks at least once if there is time.
        length_s: About how long; the last sentence is said to its end.
    """
    return in_fresh_process(_draw_dialog, seed, tuple(voices), length_s)


def _draw_dialog(seed: int, voices: Sequence[Voice], length_s: float) -> Dialog:
    draw = random.Random(seed)
    noise = np.random.default_rng(seed)
    said = list(_schedule(draw, voices, length_s))
    n_samples = max(start + len(u.waveform) for _, start, u in said) + SAMPLE_RATE_HZ // 2
    mixed = noise.standard_normal(n_samples).astype(np.float32) * np.float32(_NOISE)
    for _, start, utterance in said:
        mixed[start : start + len(utterance.waveform)] += utterance.waveform / np.float32(32768)
    turns = [turn for voice, start, u in said for turn in _turns(voice, start, u)]
    words = [word for voice, start, u in said for word in _words(voice, start, u)]
    return Dialog(
        (np.clip(mixed * _GAIN, -1, 1) * 32767).astype(np.int16),
        tuple(sorted(turns, key=lambda turn: turn.start)),
        tuple(sorted(words, key=lambda word: word.start)),
        " ".join(utterance.text for _, _, utterance in said),
    )


def _schedule(
    draw: random.Random, voices: Sequence[Voice], length_s: float
) -> Iterator[tuple[Voice, int, _Utterance]]:
    """Yield who says what and from which sample on, in time order."""
    sentences = [s.text for s in read_held_out() if s.language == "en"]
    end_s, before, waiting = 0.0, None, list(voices)
    while end_s < length_s - 1:
        others = [voice for voice in voices if voice != before] or list(voices)
        if waiting:
            voice = waiting.pop(0)
        else:
            voice = draw.choice(list(voices) if draw.random() < 0.3 else others)
        overlaps = before not in (None, voice) and draw.random() < OVERLAP
        start_s = end_s + (-draw.uniform(0.2, 1.0) if overlaps else draw.uniform(0.1, 0.9))
        utterance = say(voice, draw.choice(sentences))
        start = max(0, round(start_s * 100)) * _FRAME
        yield voice, start, utterance
        end_s = (start + len(utterance.waveform)) / SAMPLE_RATE_HZ
        before = voice


def _turns(voice: Voice, start: int, utterance: _Utterance) -> Iterator[SpeakerTurn]:
    """Where there is sound in an utterance; pauses of a quarter of a second end a turn."""
    n_frames = len(utterance.waveform) // _FRAME
    frames = np.abs(utterance.waveform[: n_frames * _FRAME] / 32768).reshape(n_frames, _FRAME)
    loud = np.flatnonzero(frames.mean(axis=1) > _LOUD)
    for run in np.split(loud, np.flatnonzero(np.diff(loud) > _PAUSE_FRAMES) + 1):
        begin = start / SAMPLE_RATE_HZ
        yield SpeakerTurn(
            speaker=voice.name,
            start=round(begin + int(run[0]) / 100, 3),
            end=round(begin + (int(run[-1]) + 1) / 100, 3),
        )


def _words(voice: Voice, start: int, utterance: _Utterance) -> Iterator[SpokenWord]:
    begin = start / SAMPLE_RATE_HZ
    ends = [at for _, at in utterance.word_starts[1:]]
    ends.append(len(utterance.waveform) / SAMPLE_RATE_HZ)
    for (n_characters, at), end in zip(utterance.word_starts, ends, strict=False):
        word = re.match(r"\S+", utterance.text[n_characters:])
        assert word is not None
        yield SpokenWord(
            word.group(), round(begin + at, 3), round(begin + max(at, end), 3), voice.name
        )
