"""
A program that kills what its parent started, once the parent is gone.

It reads lines from standard input: `+4711` for a process group that was started, `-4711` for one
that ended. When the input ends, it kills the groups that are left. So nothing stays behind, even
if the parent was killed by kill -9.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Read until the parent is gone, then kill the groups that are left."""
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
