"""The engines, by name. Each is imported only when it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import cast

from shared.errors import EngineFailed
from worker.engines.base import Engine
from worker.engines.memory import memory_watched

ENGINES = {
    "faster_whisper": "worker.engines.faster_whisper:FasterWhisperEngine",
    "openai_whisper": "worker.engines.openai_whisper:OpenaiWhisperEngine",
    "whisperx": "worker.engines.whisperx:WhisperxEngine",
}
_NEEDED = {
    "faster_whisper": ("faster_whisper", "worker"),
    "openai_whisper": ("whisper", "whisper"),
    "whisperx": ("whisperx", "diarization"),
}
"""The library of each, and the extra that installs it."""


def check_installed(name: str, find: Callable[[str], object] = find_spec) -> None:
    """
    Make sure of an engine's library without importing it.

    Raises:
        EngineFailed: It is not installed: no job could be done.
    """
    library, extra = _NEEDED[name]
    if find(library) is None:
        raise EngineFailed(
            f"LONGHAND_ENGINE is {name!r}, whose library {library} is not installed here; "
            f"install the extra `{extra}`, or choose another engine"
        )


def open_engine(name: str, path: Path, *, device: str, compute_type: str, threads: int) -> Engine:
    """
    Load a model with the engine of that name.

    Raises:
        EngineFailed: The engine is not installed, or cannot load the model.
        GpuOutOfMemory: The model does not fit.
    """
    module_name, _, class_name = ENGINES[name].partition(":")
    try:
        engine = getattr(import_module(module_name), class_name)
        with memory_watched(path.name, device):
            loaded = engine(path, device=device, compute_type=compute_type, threads=threads)
    except ImportError as error:
        raise EngineFailed(
            f"the engine {name} is not installed on this worker ({error}); "
            "install its extra, or set LONGHAND_ENGINE"
        ) from error
    except (RuntimeError, ValueError, OSError) as error:
        raise EngineFailed(f"the engine {name} cannot load {path.name!r}: {error}") from error
    return cast(Engine, loaded)
