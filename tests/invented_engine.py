"""An engine that no library knows: to show what is needed to add one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from worker.engines import ENGINES, EngineEntry
from worker.engines.base import Chunk, Decoding, Guess


class InventedEngine:
    """Hears nothing, whatever it is given."""

    is_multilingual = False

    def __init__(self, path: Path, *, device: str, compute_type: str, threads: int) -> None:
        self.opened = (path, device, compute_type, threads)

    def detect_language(self, waveform: Any) -> Guess:
        """See `Engine.detect_language`."""
        return Guess("en", 1.0)

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Decoding]:
        """See `Engine.transcribe`."""
        return [Decoding((), "en", chunk.duration_s) for chunk in chunks]


@contextmanager
def listed() -> Iterator[str]:
    """Its entry stands in `ENGINES` within the block; gives its name."""
    ENGINES["invented"] = EngineEntry(
        "invented_engine:InventedEngine",
        "json",
        "worker",
        weights="checkpoint",
        number_formats={"cpu": ("float32",), "cuda": ("float32",)},
        ignores=frozenset({"beam_size"}),
    )
    try:
        yield "invented"
    finally:
        del ENGINES["invented"]
