"""Signals that end a command as an error does."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def end_on(*signals: signal.Signals) -> None:
    """Let these signals raise SystemExit, so that `with` and `finally` clean up."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    for each in signals:
        signal.signal(each, end)
