"""Recordings of real people, with what they say: read, and split into two halves."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.settings import CHECKOUT
from worker.audio.source import decode

SPEECH = CHECKOUT.parent / "shared" / "speech"
"""The folder of recordings, beside the project; they are not a part of it."""

DEVELOPMENT = frozenset(
    {
        "LJ002-0035", "austen_0870", "austen_0890", "austen_0930", "cards_001", "cards_004",
        "libri-1995-0001", "libri-6930-0000", "sb_spk1_snt1", "sb_spk1_snt2", "sb_spk1_snt4",
        "sonnet001", "sonnet003",
    }
)  # fmt: skip
"""
Half 0: the clips on which the rules of decoding were chosen. The list is fixed, because a random
choice would change with every recording that is added.
"""

_WORD_TIMES = "words_austen.json"


@dataclass(frozen=True)
class Utterance:
    """
    What somebody says without a long pause; times are seconds from the start of the recording.

    Attributes:
        has_times: Whether `start` and `end` are times of speech, and not only those of the clip.
    """

    text: str
    start: float
    end: float
    has_times: bool = True


@dataclass(frozen=True)
class Clip:
    """A recording and what is said in it. Noise has no utterances."""

    name: str
    language: str
    path: Path
    duration_s: float
    utterances: tuple[Utterance, ...]

    @property
    def half(self) -> int:
        """0 if parameters were chosen on it, 1 if results are reported on it."""
        return 0 if self.name in DEVELOPMENT else 1

    def read(self) -> NDArray[np.float32]:
        """(n_samples,) float32, mono, 16 kHz."""
        with tempfile.TemporaryDirectory() as folder:
            audio = decode(self.path, Path(folder) / "audio.pcm")
            return audio.read(0, audio.n_samples)


def read_clips(directory: Path) -> list[Clip]:
    """
    All recordings of a folder, in the order of its manifest.

    Raises:
        FileNotFoundError: There is no manifest; the message says what to do.
    """
    manifest = directory / "manifest.json"
    if not manifest.is_file():
        raise FileNotFoundError(
            f"no recordings in {directory}: manifest.json is missing. "
            "Tell with --speech DIR where they lie"
        )
    entries = json.loads(manifest.read_text(encoding="utf-8"))
    return [_clip(directory, entry) for entry in entries]


def _clip(directory: Path, entry: dict) -> Clip:
    duration_s = float(entry["duration"])
    whole = {"text": entry["text"], "start": 0.0, "end": duration_s}
    told = entry.get("utterances") or ([whole] if entry["text"] else [])
    utterances = tuple(
        Utterance(
            u["text"],
            u["start"],
            u["end"],
            # An utterance as long as its file has no times of its own in the manifest.
            has_times=not (u["start"] == 0 and u["end"] >= duration_s),
        )
        for u in told
    )
    path = directory / entry["file"]
    return Clip(entry["id"], entry["lang"], path, duration_s, utterances)


def english(clips: Sequence[Clip], half: int) -> list[Clip]:
    """The clips of English speech of one half."""
    return [c for c in clips if c.language == "en" and c.utterances and c.half == half]


def read_word_times(directory: Path) -> dict[str, list[Utterance]]:
    """Each word and when it is said, by the name of the file; for a few files."""
    path = directory / _WORD_TIMES
    if not path.is_file():
        return {}
    told = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: [Utterance(w["word"], w["start"], w["end"]) for w in words]
        for name, words in told.items()
    }
