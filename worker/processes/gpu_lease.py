"""
One GPU for each worker, where several workers see the same GPUs.

Docker gives all replicas of a service the same GPUs, and a replica knows nothing of the others. So
each worker takes the GPU that has the fewest workers: it writes its name under the GPU's uuid in
Redis, and renews that lease as long as it runs.
"""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from shared.keys import GPU
from worker.settings import WorkerSettings, show_one_gpu

LEASE_S = 30
"""A worker that has not renewed its lease for so long counts as dead."""

_SMI_DEADLINE_S = 30
_AGAIN_S = 1

_TAKE = """
-- KEYS  a sorted set for each GPU: workers by the time their lease ends
-- ARGV  worker, lease in seconds
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local best, fewest
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  redis.call('ZREM', key, ARGV[1])
  local n = redis.call('ZCARD', key)
  if not best or n < fewest then best, fewest = i, n end
end
redis.call('ZADD', KEYS[best], now + ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[best], ARGV[2] * 2)
return {best, fewest}
"""

_RENEW = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], ARGV[2] * 2)
"""

_log = logging.getLogger(__name__)


class GpuLease:
    """
    The lease of one GPU by one worker.

    Args:
        worker: Its name, which no other worker has.
        uuids: The GPUs that it sees; at least one.
    """

    def __init__(
        self, redis: Redis, worker: str, uuids: list[str], *, lease_s: int = LEASE_S
    ) -> None:
        self._redis = redis
        self._worker = worker
        self._uuids = uuids
        self._lease_s = lease_s
        self._key = ""
        self._take_script = redis.register_script(_TAKE)
        self._renew_script = redis.register_script(_RENEW)

    def take(self) -> str:
        """Take the GPU that has the fewest workers; returns its uuid."""
        keys = [GPU.of(uuid) for uuid in self._uuids]
        answer: Any = self._take_script(keys=keys, args=[self._worker, self._lease_s])
        chosen, n_others = map(int, answer)
        uuid = self._uuids[chosen - 1]
        self._key = GPU.of(uuid)
        if n_others:
            _log.warning("GPU %s is shared with %d more workers; none is free", uuid, n_others)
        else:
            _log.info("this worker has GPU %s, one of %d", uuid, len(self._uuids))
        return uuid

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew the lease during the block, and release it at the end."""
        stopping = threading.Event()

        def renew_until_stopped() -> None:
            while not stopping.wait(self._lease_s / 3):
                try:
                    self.renew()
                except (RedisError, OSError) as error:
                    _log.warning("Redis is away, the lease of a GPU waits: %s", error)

        # In a thread, since loading a model may take longer than the lease lasts.
        renewing = threading.Thread(target=renew_until_stopped, name="gpu-lease", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            stopping.set()
            renewing.join()
            with suppress(RedisError, OSError):  # Redis is away: the lease will run out
                self.release()

    def renew(self) -> None:
        """Renew the lease; to be repeated before it runs out."""
        self._renew_script(keys=[self._key], args=[self._worker, self._lease_s])

    def release(self) -> None:
        """Release the lease."""
        self._redis.zrem(self._key, self._worker)


@contextmanager
def one_gpu(
    settings: WorkerSettings, redis: Redis, worker: str, check: Callable[[], None]
) -> Iterator[None]:
    """
    During the block this process, and those that it starts, see only one of several GPUs.

    Nothing happens if there is only one, or none, or if the operator chose one.

    Args:
        redis: A client with short timeouts.
        check: Called while Redis is away. What it raises ends the wait.
    """
    uuids = visible_gpus() if settings.device in ("auto", "cuda") else []
    if len(uuids) < 2:
        yield
        return
    lease = GpuLease(redis, worker, uuids)
    show_one_gpu(_take_patiently(lease, check))
    with lease.kept():
        yield


def _take_patiently(lease: GpuLease, check: Callable[[], None]) -> str:
    while True:
        check()
        try:
            return lease.take()
        except (RedisError, OSError) as error:
            _log.warning("Redis is away, a GPU cannot be chosen yet: %s", error)
            time.sleep(_AGAIN_S)


def visible_gpus(program: str = "nvidia-smi") -> list[str]:
    """The uuids of the GPUs of this machine or container; none without NVIDIA's driver."""
    try:
        listed = subprocess.run(
            [program, "--query-gpu=uuid", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=_SMI_DEADLINE_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    lines = (line.strip() for line in listed.stdout.splitlines())
    return [line for line in lines if line.startswith("GPU-")]
