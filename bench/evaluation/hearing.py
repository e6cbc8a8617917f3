"""
One system in a process of its own: reads a task from each line and answers with what it hears.

    python -m bench.evaluation.hearing SYSTEM MODEL

It ends at the end of its input.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from dataclasses import replace
from pathlib import Path

from bench.evaluation.heard import Heard
from bench.evaluation.systems import SYSTEMS, Hear
from worker.settings import limit_threads, quieten_libraries


def main() -> None:
    """Load the model, then answer."""
    system, model = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not look like an answer
    quieten_libraries()
    limit_threads(1)
    hear = SYSTEMS[system].open(model)
    for line in sys.stdin:
        task = json.loads(line)
        print(measured(hear, Path(task["path"]), task["words"]).to_json(), file=answers, flush=True)


def measured(hear: Hear, path: Path, has_words: bool) -> Heard:
    """What is heard in a file, and the CPU seconds of all threads that it took."""
    before = _cpu_s()
    heard = hear(path, has_words)
    return replace(heard, cpu_s=round(_cpu_s() - before, 3))


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


if __name__ == "__main__":
    main()
