"""Real speech and its truth, and real weights in the form each engine reads."""

from __future__ import annotations

import shutil
import wave
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.training.demo_model.scores import Errors
from shared.settings import CHECKOUT
from shared.transcript import Segment
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import decode
from worker.models.store import ModelStore

SAMPLES = CHECKOUT / "samples"
CONVERSATION, MANDARIN = SAMPLES / "conversation.flac", SAMPLES / "mandarin.flac"
TWO_TURNS_S = 10.5
"""Where the first two turns of the conversation have ended, in a pause."""


class Turn(NamedTuple):
    """A line of a sample's table; times in seconds."""

    start: float
    end: float
    speaker: str
    text: str


def turns_of(name: str) -> list[Turn]:
    """The table of a sample: `conversation` or `mandarin`."""
    lines = (SAMPLES / f"{name}.txt").read_text("utf-8").splitlines()
    rows = (line.split(" ", 3) for line in lines)
    return [Turn(float(start), float(end), speaker, text) for start, end, speaker, text in rows]


def text_of(told: Iterable[Turn | Segment]) -> str:
    """All that is said."""
    return " ".join(each.text.strip() for each in told)


def n_errors(reference: str, heard: str, language: str = "en") -> int:
    """Words, or characters of Chinese, that were put in, left out or taken for others."""
    errors = Errors()
    errors.add(reference, heard, language)
    return errors.n_edits


def samples_of(path: Path, folder: Path, end_s: float | None = None) -> NDArray[np.int16]:
    """(n_samples,) int16, mono, 16 kHz, of a recording as the worker decodes it, up to a time."""
    audio = decode(path, folder / f"{path.stem}.pcm")
    n_samples = audio.n_samples if end_s is None else round(end_s * SAMPLE_RATE_HZ)
    return np.fromfile(audio.path, "<i2", n_samples)


def write_wav(path: Path, pieces: Sequence[NDArray[np.int16]]) -> Path:
    """Write pieces of sound one after the other."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        for piece in pieces:
            out.writeframes(piece.astype("<i2").tobytes())
    return path


def silence(length_s: float) -> NDArray[np.int16]:
    """Nothing at all."""
    return np.zeros(round(length_s * SAMPLE_RATE_HZ), np.int16)


def as_checkpoint(models: Path, name: str, folder: Path) -> Path:
    """A model's weights as openai-whisper reads them; the copy is made below `folder`."""
    target = folder / name
    target.mkdir(parents=True)
    for path in (models / name).iterdir():
        if path.suffix != ".pt":  # which an operator may have had made there
            (target / path.name).symlink_to(path)
    (target / "longhand.json").unlink(missing_ok=True)
    shutil.copy(models / name / "longhand.json", target)
    return ModelStore(folder, engine="openai_whisper").locate("model", name)
