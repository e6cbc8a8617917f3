"""
The engines, by name: one entry each. An engine is imported only when a model is loaded with it.

To add one, write a module with a class like `worker.engines.base.Engine`, and an entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, cast

from shared.errors import EngineFailed
from worker.engines.base import Engine
from worker.engines.memory import memory_watched

Form = Literal["ctranslate2", "checkpoint"]
"""Forms of weights: a folder of CTranslate2, or a checkpoint of openai-whisper."""


@dataclass(frozen=True)
class EngineEntry:
    """
    All that is known of an engine before it is imported.

    Attributes:
        class_path: `module:Class`.
        library: The library that it needs, by the name that is imported.
        extra: The extra of pyproject.toml that installs the library.
        weights: The form of the weights that it reads.
        number_formats: Those it computes in, on `cpu` and on `cuda`; None if CTranslate2 is to be
            asked what the device has.
        ignores: Options of a request that change nothing with it.
        has_live: Whether it can decode live sessions.
    """

    class_path: str
    library: str
    extra: str
    weights: Form = "ctranslate2"
    number_formats: Mapping[str, tuple[str, ...]] | None = None
    ignores: frozenset[str] = frozenset()
    has_live: bool = True


ENGINES = {
    "faster_whisper": EngineEntry(
        "worker.engines.faster_whisper:FasterWhisperEngine", "faster_whisper", "worker"
    ),
    "openai_whisper": EngineEntry(
        "worker.engines.openai_whisper:OpenaiWhisperEngine",
        "whisper",
        "whisper",
        weights="checkpoint",
        number_formats={"cpu": ("float32",), "cuda": ("float32", "float16")},
        has_live=False,
    ),
    "whisperx": EngineEntry(
        "worker.engines.whisperx:WhisperxEngine",
        "whisperx",
        "diarization",
        ignores=frozenset({"temperature", "temperature_increment", "best_of"}),
    ),
}


def check_installed(name: str, find: Callable[[str], object] = find_spec) -> None:
    """
    Make sure that an engine's library is installed, without importing it.

    Raises:
        EngineFailed: It is not: the worker could do no job.
    """
    entry = ENGINES[name]
    if find(entry.library) is None:
        raise EngineFailed(
            f"LONGHAND_ENGINE is {name!r}, whose library {entry.library} is not installed here; "
            f"install the extra `{entry.extra}`, or choose another engine"
        )


def open_engine(name: str, path: Path, *, device: str, compute_type: str, threads: int) -> Engine:
    """
    Load a model with the engine of that name.

    Args:
        path: The weights, in the form that the engine reads.
        device: `cpu`, `cuda` or `cuda:N`.
        compute_type: A number format that engine and device have.
        threads: CPU threads.

    Raises:
        EngineFailed: The engine is not installed, or cannot load the model.
        GpuOutOfMemory: The model does not fit.
    """
    module_name, _, class_name = ENGINES[name].class_path.partition(":")
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
