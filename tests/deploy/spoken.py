"""Speech by seed, and the text that our own pipeline hears in it, in this very process."""

from __future__ import annotations

import io
import random
import tempfile
import wave
from functools import cache
from pathlib import Path

import numpy as np

from shared.request import TranscriptionRequest
from shared.settings import CHECKOUT
from tools.demo_model.phrasebook import draw_sentence
from tools.demo_model.voices import SAMPLE_RATE_HZ, Espeak, say
from worker.audio import decode
from worker.models.cache import LocalModels
from worker.pipeline import transcribe
from worker.settings import WorkerSettings

_PAUSE_S = 0.6
MODEL = "demo"


@cache
def _espeak() -> Espeak:
    return Espeak()


def clip(seed: int, n_sentences: int = 2) -> bytes:
    """A WAV of so many sentences, each by another voice, with pauses around them."""
    draw = random.Random(seed)
    pause = np.zeros(round(_PAUSE_S * SAMPLE_RATE_HZ), dtype=np.int16)
    pieces = [pause]
    for _ in range(n_sentences):
        sentence = draw_sentence(draw, "en").text
        pieces += [say(_espeak(), sentence, "en", draw, held_out=True).waveform, pause]
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(np.concatenate(pieces).tobytes())
    return out.getvalue()


@cache
def _models() -> LocalModels:
    settings = WorkerSettings(
        models_dir=CHECKOUT / "models", downloads=False, device="cpu", default_model=MODEL
    )
    return LocalModels(settings)


def heard_in(audio: bytes) -> str:
    """What the pipeline makes of audio, without queue, container or network."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audio.wav"
        path.write_bytes(audio)
        source = decode(path, Path(folder) / "audio.pcm", lambda fraction: None)
        request = TranscriptionRequest()
        told = transcribe(source, request, _models(), lambda *step: None, model=MODEL)
    return told.text.strip()
