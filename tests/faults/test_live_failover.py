"""Workers that die or leave in the midst of live sessions: callers notice a pause, no loss."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from live_callers import RATE_HZ, LiveCaller, LiveWorkers, read_speech  # noqa: E402
from real_speech import n_errors  # noqa: E402
from waiting import wait_until  # noqa: E402

pytestmark = [pytest.mark.faults]

MOST_SILENT_S = 30
"""Three times what is promised, since other tests may run."""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_two_sessions_go_on_at_another_worker(
    how: signal.Signals,
    redis_url: str,
    open_workers: Callable[[str], LiveWorkers],
    tmp_path: Path,
) -> None:
    pcm, truth = read_speech(tmp_path)
    live_workers = open_workers(redis_url)
    first = live_workers.start("first", 2)
    moved = [LiveCaller(redis_url, pcm) for _ in range(2)]
    wait_until(lambda: all(c.worker for c in moved), 60, "the first worker has both")
    live_workers.start("second", 4)
    undisturbed = LiveCaller(redis_url, pcm)
    wait_until(lambda: undisturbed.worker, 60, "the second worker has the third")
    callers = [*moved, undisturbed]
    for caller in callers:
        caller.start()
    wait_until(lambda: all(len(c.words) >= 15 for c in moved), 60, "words are committed")
    holders, kept = [c.worker for c in moved], [list(c.words) for c in moved]
    first.send_signal(how)
    broken_at = time.monotonic()
    wait_until(lambda: all(c.worker.startswith("second") for c in moved), 60, "they are taken")
    for caller in callers:
        assert caller.is_over.wait(90), live_workers.log("second")[-3000:]

    assert all(name.startswith("first") for name in holders)
    assert undisturbed.worker.startswith("second") or undisturbed.is_over.is_set()
    n_words = len(truth.split())
    # One word is more than a point here, and two runs differ by some: where a step ends is chance.
    bar = n_errors(truth, undisturbed.text) + 0.1 * n_words
    for caller, before in zip(moved, kept, strict=True):
        after = [at for at in caller.heard_at if at > broken_at]
        assert caller.words[: len(before)] == before
        assert after and len(before) < len(caller.words)
        assert min(after) - broken_at < MOST_SILENT_S
        assert caller.n_gaps == 0 and caller.problems == []
        starts = [word.start for word in caller.words]
        assert starts == sorted(starts)
        assert caller.words[-1].end < len(pcm) / 2 / RATE_HZ + 1
        assert n_errors(truth, caller.text) <= bar, caller.text
