"""Signals that end a command as an error does."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def end_on(*signals: signal.Signals) -> None:
    """End on these signals as on an error: what was begun is undone on the way out."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    for each in signals:
        signal.signal(each, end)
