"""
A program that ends its parent's other processes when the parent has ended, even by kill -9.

It reads lines from standard input: `+4711` when a process group has started, `-4711` when it has
ended. At the end of the input it kills the groups that are left.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Read until the parent has ended, then kill the groups that are left."""
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
