"""
A program that outlives its parent only to end what the parent had started.

It reads `+4711` and `-4711`, process groups begun and ended, from its standard
input, and kills those that are left when the input ends: however the parent
went, kill -9 included, nothing it started stays behind.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Read until the parent is gone, then kill."""
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
