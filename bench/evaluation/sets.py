"""What is transcribed: long files of both halves, single clips, and sounds without speech."""

from __future__ import annotations

import hashlib
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.evaluation.recordings import (
    Samples,
    Spoken,
    draw_recording,
    make_noises,
    write_mp3,
)
from bench.evaluation.speech import Clip, Utterance, english, read_clips, read_word_times
from worker.audio.constants import SAMPLE_RATE_HZ

LONG, CLIPS, NOISE, WORDS = "long files", "clips", "noise", "word times"
"""The sets. For `WORDS`, words and their times are requested too."""


@dataclass(frozen=True)
class Item:
    """
    One file to transcribe, with its true text.

    Attributes:
        set_name: `LONG`, `CLIPS`, `NOISE` or `WORDS`.
        half: 0 or 1; None if no parameter was chosen on such files.
        words: Each word and when it is said; only for a few files.
    """

    name: str
    set_name: str
    language: str
    path: Path
    sha256: str
    duration_s: float
    utterances: tuple[Utterance, ...] = ()
    half: int | None = None
    words: tuple[Utterance, ...] = ()

    @property
    def text(self) -> str:
        """The whole text that is said in it."""
        return " ".join(u.text for u in self.utterances)


@dataclass(frozen=True)
class Wanted:
    """Which files to use: halves, and how many long files of which length in each."""

    halves: tuple[int, ...] = (1,)
    n_long: int = 5
    long_s: float = 600.0


def make_items(speech: Path, folder: Path, wanted: Wanted) -> list[Item]:
    """
    Read or make every file; those that are made are written to `folder`.

    Raises:
        FileNotFoundError: There are no recordings in `speech`.
    """
    clips = read_clips(speech)
    folder.mkdir(parents=True, exist_ok=True)
    noises = [clip for clip in clips if not clip.utterances]
    items = [
        item
        for half in wanted.halves
        for item in _long_items(english(clips, half), noises, half, folder, wanted)
    ]
    said = [clip for clip in clips if clip.utterances]
    heard = [clip for clip in said if clip.language != "en" or clip.half in wanted.halves]
    items += [_of_clip(clip, CLIPS) for clip in heard]
    items += [_of_clip(clip, NOISE) for clip in noises]
    items += list(_made_noises(folder))
    words = read_word_times(speech)
    items += [_of_clip(c, WORDS, words[c.path.name]) for c in said if c.path.name in words]
    return items


def _long_items(
    clips: Sequence[Clip], noises: Sequence[Clip], half: int, folder: Path, wanted: Wanted
) -> Iterator[Item]:
    """Files of one half. The seeds of the two halves differ, and so pauses and noise differ too."""
    spoken = [Spoken.of(clip) for clip in clips]
    sounds = [noise.read() for noise in noises] or list(make_noises().values())[:2]
    for n in range(wanted.n_long):
        seed = 100 * half + n
        made = draw_recording(spoken, sounds, seed=seed, length_s=wanted.long_s)
        path = folder / f"long-{half}-{n}-{wanted.long_s:.0f}s.mp3"
        write_mp3(path, made.samples)
        yield Item(
            path.stem,
            LONG,
            "en",
            path,
            _sha256(path),
            len(made.samples) / SAMPLE_RATE_HZ,
            made.utterances,
            half,
        )


def _of_clip(clip: Clip, set_name: str, words: Sequence[Utterance] = ()) -> Item:
    half = clip.half if clip.language == "en" and clip.utterances else None
    return Item(
        clip.name,
        set_name,
        clip.language,
        clip.path,
        _sha256(clip.path),
        clip.duration_s,
        clip.utterances,
        half,
        tuple(words),
    )


def _made_noises(folder: Path) -> Iterator[Item]:
    for name, samples in make_noises().items():
        path = folder / f"{name.replace(' ', '-')}.wav"
        _write_wav(path, samples)
        duration_s = len(samples) / SAMPLE_RATE_HZ
        yield Item(name, NOISE, "en", path, _sha256(path), duration_s)


def _write_wav(path: Path, samples: Samples) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
