"""The programs that are compared; all have the same weights."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.evaluation.heard import Heard, Part
from shared.settings import CHECKOUT

BEAM_SIZE = 5
SEED = 0
"""The seed of other programs' random choices, set before each file."""

Hear = Callable[[Path, bool], Heard]
"""Takes a file, and whether words are wanted; returns what is heard, with default options."""


@dataclass(frozen=True)
class System:
    """
    One program with one set of options.

    Attributes:
        made_of: Distributions on whose versions its text depends.
        hears_all: Whether it is fast enough for all long files. Otherwise it hears only the first
            of each half.
    """

    name: str
    open: Callable[[str], Hear]
    made_of: tuple[str, ...]
    hears_all: bool = True

    @property
    def fingerprint(self) -> str:
        """A text that changes if its results may change."""
        parts = [self.name, *(f"{name} {version(name)}" for name in self.made_of)]
        sources = [Path(__file__)]
        if self.name == OURS:
            sources += [p for part in ("worker", "shared") for p in (CHECKOUT / part).rglob("*.py")]
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(sources)]
        return hashlib.sha256("\n".join([*parts, *digests]).encode()).hexdigest()


def weights_of(model: str, engine: str = "faster_whisper") -> Path:
    """
    The folder of a model's weights for an engine. They are fetched or converted first if needed.

    Raises:
        ModelNotFound: They cannot be fetched.
    """
    from worker.models.store import ModelStore
    from worker.settings import WorkerSettings

    return ModelStore.of(WorkerSettings(default_model=model, engine=engine)).locate("model", model)


def _open_longhand(model: str) -> Hear:
    from shared.request import TranscriptionRequest
    from worker.audio.source import decode
    from worker.pipeline import transcribe
    from worker.processes.local import LocalModels
    from worker.settings import WorkerSettings

    settings = WorkerSettings(
        default_model=model, device="cpu", compute_type="int8", engine_threads=1, downloads=False
    )
    models = LocalModels(settings)

    def hear(path: Path, has_words: bool) -> Heard:
        request = TranscriptionRequest(beam_size=BEAM_SIZE, word_timestamps=has_words)
        with tempfile.TemporaryDirectory() as folder:
            audio = decode(path, Path(folder) / "audio.pcm")
            found = transcribe(audio, request, models, lambda *_: None, model=model)
        words = (word for segment in found.segments for word in segment.words or ())
        return Heard(_parts(found.segments), _parts(words), found.language)

    return hear


def _open_faster_whisper(model: str, *, is_batched: bool = False, **options: Any) -> Hear:
    import ctranslate2
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    loaded = WhisperModel(
        str(weights_of(model)), device="cpu", compute_type="int8", cpu_threads=1, num_workers=1
    )
    program = BatchedInferencePipeline(loaded) if is_batched else loaded

    def hear(path: Path, has_words: bool) -> Heard:
        ctranslate2.set_random_seed(SEED)
        found, told = program.transcribe(
            str(path), beam_size=BEAM_SIZE, word_timestamps=has_words, **options
        )
        segments = list(found)
        words = (word for segment in segments for word in segment.words or ())
        return Heard(_parts(segments), _parts(words), told.language)

    return hear


def _open_openai_whisper(model: str) -> Hear:
    import torch
    import whisper
    from faster_whisper.audio import decode_audio

    torch.set_num_threads(1)
    loaded = whisper.load_model(str(weights_of(model, "openai_whisper")), device="cpu")

    def hear(path: Path, has_words: bool) -> Heard:
        torch.manual_seed(SEED)
        waveform = decode_audio(str(path))  # whisper's own function needs ffmpeg
        found = whisper.transcribe(
            loaded, waveform, beam_size=BEAM_SIZE, best_of=5, fp16=False, word_timestamps=has_words
        )
        segments = [Part(s["text"], s["start"], s["end"]) for s in found["segments"]]
        words = [
            Part(w["word"], w["start"], w["end"])
            for s in found["segments"]
            for w in s.get("words", ())
        ]
        return Heard(tuple(segments), tuple(words), found["language"])

    return hear


def _parts(found: Iterable[Any]) -> tuple[Part, ...]:
    """Segments or words of Longhand or faster-whisper."""
    return tuple(
        Part(str(getattr(one, "text", None) or getattr(one, "word", "")), one.start, one.end)
        for one in found
    )


OURS = "longhand"
WITH_VAD = "faster-whisper-vad"
_FASTER = ("faster-whisper", "ctranslate2", "av")

SYSTEMS = {
    system.name: system
    for system in (
        System(OURS, _open_longhand, _FASTER),
        System("faster-whisper", _open_faster_whisper, _FASTER),
        System(WITH_VAD, lambda model: _open_faster_whisper(model, vad_filter=True), _FASTER),
        System(
            "faster-whisper-batched",
            lambda model: _open_faster_whisper(model, is_batched=True, batch_size=8),
            _FASTER,
        ),
        System(
            "openai-whisper",
            _open_openai_whisper,
            ("openai-whisper", "torch", "av"),
            hears_all=False,
        ),
    )
}
PEERS = tuple(name for name in SYSTEMS if name.startswith("faster-whisper"))
"""The settings of faster-whisper; Longhand is compared with the best of them."""
