"""Engines that callers of the older systems ask for, and those that this site has."""

from __future__ import annotations

import re

from shared.errors import EngineNotAvailable
from shared.workers import WorkerRecord

_OURS = ("faster_whisper", "openai_whisper", "whisperx")
_OTHER_NAMES = {"whisper": "openai_whisper", "fasterwhisper": "faster_whisper"}
_ELSEWHERE = re.compile(r"(tensorrt|openvino|voxtral|qwen3)(?![a-z])", re.IGNORECASE)


def refuse_other_engine(name: str | None, live: list[WorkerRecord]) -> None:
    """
    Refuse a model of an engine that Longhand does not have.

    >>> refuse_other_engine("qwen3:1.7b", [])
    Traceback (most recent call last):
    shared.errors.EngineNotAvailable: 'qwen3:1.7b' needs the engine 'qwen3', which Longhand does \
not have; it has faster_whisper, openai_whisper, whisperx (LONGHAND_ENGINE)
    """
    if name and (found := _ELSEWHERE.match(name)):
        raise EngineNotAvailable(
            f"{name[:64]!r} needs the engine {found[1].lower()!r}, which Longhand does not have; "
            f"{_there(live)}",
            param="model",
        )


def check_backend(name: str | None, live: list[WorkerRecord]) -> None:
    """
    Refuse an engine that no live worker runs or, while no worker is live, that Longhand lacks.

    Raises:
        EngineNotAvailable: The message says which engines there are.
    """
    if not name or name.lower() == "auto":
        return
    plain = re.sub(r"[-\s]", "_", name.strip().lower())
    plain = _OTHER_NAMES.get(plain, plain)
    if plain not in ({worker.engine for worker in live} or _OURS):
        raise EngineNotAvailable(
            f"the engine {name[:64]!r} is not available here; {_there(live)}", param="backend"
        )


def _there(live: list[WorkerRecord]) -> str:
    running = sorted({worker.engine for worker in live})
    if running:
        return f"the workers of this site run {', '.join(running)}"
    return f"it has {', '.join(_OURS)} (LONGHAND_ENGINE)"
