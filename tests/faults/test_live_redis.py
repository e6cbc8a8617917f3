"""Redis ends in the midst of a live session and is away for 20 s: nothing is lost."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

sys.path.insert(0, str(Path(__file__).parent))

from live_callers import LiveCaller, LiveWorkers, read_speech  # noqa: E402
from real_speech import n_errors  # noqa: E402
from waiting import wait_until  # noqa: E402

pytestmark = [pytest.mark.faults]

AWAY_S = 20


class KeptRedis:
    """A Redis with an append-only file, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._folder = folder
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self.start()

    def start(self) -> None:
        """Start it with what its file holds."""
        options = {"port": self._port, "dir": self._folder, "appendonly": "yes", "save": ""}
        arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        self._process = subprocess.Popen(["redis-server", *arguments], stdout=subprocess.DEVNULL)
        wait_until(self._answers, 20, "Redis")

    def kill(self) -> None:
        """End it with SIGKILL: its last second may be lost."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            return bool(Redis.from_url(self.url).ping())
        except RedisError:
            return False


@pytest.fixture
def kept_redis(tmp_path: Path) -> Iterator[KeptRedis]:
    """A Redis of this test's own."""
    redis = KeptRedis(tmp_path)
    yield redis
    redis.kill()


def test_a_session_outlives_a_redis_that_is_killed_and_away_for_twenty_seconds(
    kept_redis: KeptRedis, open_workers: Callable[[str], LiveWorkers], tmp_path: Path
) -> None:
    pcm, truth = read_speech(tmp_path)
    workers = open_workers(kept_redis.url)
    workers.start("only", 2)
    caller = LiveCaller(kept_redis.url, pcm)
    wait_until(lambda: caller.worker, 60, "the worker has it")
    caller.start()
    wait_until(lambda: len(caller.words) >= 10, 60, "words are committed")
    before = list(caller.words)
    kept_redis.kill()
    time.sleep(AWAY_S)
    kept_redis.start()
    back_at = time.monotonic()
    assert caller.is_over.wait(120), workers.log("only")[-3000:]

    assert caller.words[: len(before)] == before
    assert [at for at in caller.heard_at if at > back_at]
    assert caller.problems == []
    assert caller.n_gaps == 0
    assert n_errors(truth, caller.text) <= 0.2 * len(truth.split()), caller.text
