"""Dialogues with known turns: real ones, and ones made of real voices."""

from __future__ import annotations

import random
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.evaluation.speakers.scoring import Turn
from bench.evaluation.speech import Clip, read_clips
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import decode

VOICES: tuple[dict[str, tuple[str, ...]], ...] = (
    {
        "l1088": ("libri-1088-0000",),
        "sb1": tuple(f"sb_spk1_snt{i}" for i in range(1, 7)),
        "jfk": ("jfk",),
        "sonnet1": ("sonnet001",),
        "spontaneous": ("spontaneous_fast_slow",),
        "aishell": ("zh_aishell",),
        "asr": ("zh_asr_example",),
    },
    {
        "austen": ("austen_0870", "austen_0880", "austen_0890", "austen_0930"),
        "l2412": ("libri-2412-0000",),
        "l1995": ("libri-1995-0001",),
        "sonnet3": ("sonnet003",),
        "simplicissimus": ("simplicissimus",),
        "l6930": ("libri-6930-0000",),
        "factory": ("zh_factory",),
    },
)
"""The voices of each half, by their clips. Thresholds were chosen on half 0 and D1 to D3."""

_HOP = 160
_LOUDNESS = 0.06
_LONGEST_S = 22.0
_PAUSE_S = 0.25
_NOISE = 0.0008


@dataclass(frozen=True)
class Dialogue:
    """
    A recording with several speakers.

    Attributes:
        is_chosen_on: Whether thresholds were chosen on it.
    """

    name: str
    path: Path
    turns: tuple[Turn, ...]
    is_chosen_on: bool

    @property
    def n_speakers(self) -> int:
        """How many people speak."""
        return len({turn[0] for turn in self.turns})


def all_dialogues(speech: Path, folder: Path) -> list[Dialogue]:
    """
    pyannote's sample if it is installed, D1 to D3, and ten dialogues made of each half.

    Raises:
        FileNotFoundError: There are no recordings in `speech`.
    """
    clips = {clip.name: clip for clip in read_clips(speech)}
    folder.mkdir(parents=True, exist_ok=True)
    found = [*_sample()]
    for rttm in sorted((speech / "dialogues").glob("*.rttm")):
        turns = tuple(read_rttm(rttm))
        found.append(Dialogue(rttm.stem, rttm.with_suffix(".wav"), turns, is_chosen_on=True))
    for half, voices in enumerate(VOICES):
        for n_voices in range(2, 7):
            for k, overlap in enumerate((0.25, 0.4)):
                seed = 100 * (half + 1) + 10 * n_voices + k
                name = f"{'VR'[half]}{n_voices}{'ab'[k]}"
                rng = random.Random(seed)
                speak = rng.sample(list(voices)[:5] if n_voices == 2 else list(voices), n_voices)
                said = {v: [clips[clip] for clip in voices[v]] for v in speak}
                found.append(_made(folder / f"{name}.wav", said, rng, overlap))
    return found


def read_rttm(path: Path) -> list[Turn]:
    """Read the turns of an RTTM file."""
    rows = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    return [(r[7], float(r[3]), float(r[3]) + float(r[4])) for r in rows if r[:1] == ["SPEAKER"]]


def _sample() -> list[Dialogue]:
    found = find_spec("pyannote")
    for place in found.submodule_search_locations or () if found else ():
        rttm = Path(place) / "audio" / "sample" / "sample.rttm"
        if rttm.is_file():
            turns = tuple(read_rttm(rttm))
            return [Dialogue("sample", rttm.with_suffix(".wav"), turns, is_chosen_on=True)]
    return []


def _made(path: Path, clips: dict[str, list[Clip]], rng: random.Random, overlap: float) -> Dialogue:
    pieces = {
        voice: [piece for clip in said for piece in _pieces(clip.read(), rng)]
        for voice, said in clips.items()
    }
    samples, turns = draw_dialogue(pieces, rng, overlap)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return Dialogue(path.stem, path, tuple(turns), is_chosen_on=path.stem.startswith("V"))


Piece = tuple[NDArray[np.float32], list[tuple[int, int]]]
"""Speech without a pause, and the spans of samples in which it is heard."""


def draw_dialogue(
    pieces: dict[str, list[Piece]], rng: random.Random, overlap: float
) -> tuple[NDArray[np.float32], list[Turn]]:
    """
    Let people speak in turn until all is said. Sometimes one begins before another has ended.

    Args:
        pieces: What each person says.
        overlap: The share of changes at which the next person begins early.
    """
    left = {voice: rng.sample(said, len(said)) for voice, said in pieces.items()}
    at_s, last, placed = 0.5, "", []
    while any(left.values()):
        waiting = [v for v in left if left[v] and v != last] or [v for v in left if left[v]]
        voice = rng.choices(waiting, [len(left[v]) for v in waiting])[0]
        samples, spans = left[voice].pop()
        if placed and voice != last and rng.random() < overlap:
            at_s -= rng.uniform(0.3, min(1.2, 0.5 * len(samples) / SAMPLE_RATE_HZ))
        elif placed:
            at_s += rng.uniform(0.1, 0.7)
        placed.append((voice, round(at_s * SAMPLE_RATE_HZ), samples, spans))
        at_s += len(samples) / SAMPLE_RATE_HZ
        last = voice
    end = round((at_s + 0.5) * SAMPLE_RATE_HZ)
    whole = np.random.default_rng(rng.randrange(1 << 30)).normal(0, _NOISE, end).astype(np.float32)
    turns = []
    for voice, start, samples, spans in placed:
        whole[start : start + len(samples)] += samples
        for a, b in spans:
            turns.append((voice, (start + a) / SAMPLE_RATE_HZ, (start + b) / SAMPLE_RATE_HZ))
    return whole, sorted(turns, key=lambda turn: turn[1])


def _pieces(samples: NDArray[np.float32], rng: random.Random) -> list[Piece]:
    """Cut a recording at its quietest points, every one to four seconds; all get the same level."""
    power = np.convolve(_level(samples) ** 2, np.ones(9) / 9, "same")
    cuts = [0]
    while len(power) - cuts[-1] > 350:
        low = cuts[-1] + round(rng.uniform(90, 200))
        high = min(low + 220, len(power) - 60)
        if high <= low:
            break
        cuts.append(low + int(power[low:high].argmin()))
    found = []
    for a, b in zip(cuts, [*cuts[1:], len(power)], strict=True):
        part = samples[a * _HOP : b * _HOP]
        spans = _heard(part)
        if spans and a * _HOP < _LONGEST_S * SAMPLE_RATE_HZ:
            start, end = max(0, spans[0][0] - 800), min(len(part), spans[-1][1] + 800)
            piece = part[start:end]
            loudness = float(np.sqrt((piece**2).mean())) + 1e-9
            found.append(
                (
                    piece * np.float32(_LOUDNESS / loudness),
                    [(p - start, q - start) for p, q in spans],
                )
            )
    return found


def _heard(samples: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Where somebody is heard. Pauses of less than a quarter of a second belong to a turn."""
    level = np.convolve(_level(samples), np.ones(3) / 3, "same")
    loud = level > max(float(np.percentile(level, 95)) * 10**-1.5, 1e-4)
    edges = np.flatnonzero(np.diff(np.r_[0, loud.astype(np.int8), 0])).reshape(-1, 2) * _HOP
    merged: list[list[int]] = []
    for a, b in edges.tolist():
        if merged and a - merged[-1][1] < _PAUSE_S * SAMPLE_RATE_HZ:
            merged[-1][1] = b
        else:
            merged.append([a, b])
    return [(a, b) for a, b in merged if b - a > 0.08 * SAMPLE_RATE_HZ]


def _level(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    n = len(samples) // _HOP
    found: NDArray[np.float32] = np.sqrt(
        (samples[: n * _HOP].reshape(n, _HOP) ** 2).mean(axis=1) + 1e-10
    )
    return found


def _read(path: Path) -> NDArray[np.float32]:
    with tempfile.TemporaryDirectory() as folder:
        audio = decode(path, Path(folder) / "audio.pcm")
        return audio.read(0, audio.n_samples)


def long_recording(dialogues: Sequence[Dialogue], length_s: float) -> NDArray[np.float32]:
    """Dialogues one after the other, repeated until they are so long."""
    parts = [_read(each.path) for each in dialogues]
    whole = np.concatenate(parts)
    needed = round(length_s * SAMPLE_RATE_HZ)
    return np.tile(whole, -(-needed // len(whole)))[:needed]
