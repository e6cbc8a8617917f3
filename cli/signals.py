"""Lets signals end a command in the same way as an error."""

from __future__ import annotations

import signal
import sys
from types import FrameType


def end_on(*signals: signal.Signals) -> None:
    """End on these signals as on an error, so that `with` blocks and `finally` clean up."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    for each in signals:
        signal.signal(each, end)
