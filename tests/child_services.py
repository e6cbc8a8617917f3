"""What runs in the children of tests: importable by name, as a spawned process needs it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from shared.errors import AudioUnreadable, EngineFailed


class Echo:
    """Says what it is told to, in its own time."""

    def say(self, word: str) -> str:
        """Say it back."""
        return word

    def say_later(self, word: str, gate: str) -> str:
        """Say it once the file `gate` is there."""
        while not Path(gate).exists():
            time.sleep(0.01)
        return word

    def report_for_ever(self, report: Callable[[float], None]) -> None:
        """Report and report."""
        while True:
            report(0.5)
            time.sleep(0.01)

    def report_now_and_then(self, report: Callable[[float], None]) -> None:
        """Report, and work on for longer than its parent waits at a time."""
        while True:
            report(0.5)
            time.sleep(0.5)

    def refuse(self) -> None:
        """Raise one of our errors."""
        raise AudioUnreadable("no sound", param="file")

    def break_down(self) -> None:
        """Raise somebody else's."""
        raise KeyError("model")

    def die(self) -> None:
        """End by a signal."""
        os.kill(os.getpid(), signal.SIGKILL)

    def die_once(self, mark: str, report: Callable[[float], None]) -> str:
        """End the first process that is asked; answer in the next."""
        if Path(mark).exists():
            return "alive"
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
        return "dead"

    def sleep(self) -> None:
        """Make no progress."""
        time.sleep(60)


def broken() -> Echo:
    """Cannot be made."""
    raise SystemExit(3)


def unmakeable(_settings: object) -> Echo:
    """An engine that cannot be made."""
    return broken()


def refused() -> Echo:
    """Cannot be made, and says why."""
    raise EngineFailed("LONGHAND_DEVICE is 'cuda' and there is none")
