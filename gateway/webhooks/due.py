"""
Which webhook messages are due, and the log of every try to send one. Both are kept in Redis.

`longhand:webhooks` holds the ids of jobs with the time at which their message is due. A gateway
that takes a message moves this time on by a lease. So no other gateway sends it meanwhile, and if
the gateway dies, the message is due again. The log of a job is the list `longhand:deliveries:{id}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, Field
from redis import Redis

from gateway.answering.shapes.deliveries import DeliveryTry
from shared.scripts import TOTALS, WEBHOOKS

_LOG_KEPT_S = 30 * 24 * 3600
_LOG_LENGTH = 100

_TAKE = """
-- KEYS  webhooks
-- ARGV  how many at most, lease in seconds
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], now + ARGV[2], id) end
return {string.format('%.6f', now + ARGV[2]), ids}
"""

_SETTLE = """
-- KEYS  webhooks, the job's log, totals
-- ARGV  id, end of the lease, seconds until it is due again or '', log entry or '', outcome,
--       length of the log, seconds it is kept
if ARGV[4] ~= '' then
  redis.call('RPUSH', KEYS[2], ARGV[4])
  redis.call('LTRIM', KEYS[2], -ARGV[6], -1)
  redis.call('EXPIRE', KEYS[2], ARGV[7])
  redis.call('HINCRBY', KEYS[3], 'webhooks:' .. ARGV[5], 1)
end
-- Another time stands there if the lease ran out, or if the job has ended once more.
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or string.format('%.6f', tonumber(score)) ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('ZREM', KEYS[1], ARGV[1])
else
  local clock = redis.call('TIME')
  redis.call('ZADD', KEYS[1], clock[1] + clock[2] / 1000000 + ARGV[3], ARGV[1])
end
return 1
"""


class Try(DeliveryTry):
    """One try to send a message, as Redis keeps it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: float = Field(description="When it began, in seconds since 1970.")  # type: ignore[assignment]


@dataclass(frozen=True)
class Taken:
    """A job whose message this gateway may send until its lease ends."""

    job_id: str
    lease_end: str


class DueMessages:
    """The webhook messages of a site."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take_script = redis.register_script(_TAKE)
        self._settle_script = redis.register_script(_SETTLE)

    def take(self, n: int, *, lease_s: float) -> list[Taken]:
        """Take at most `n` messages that are due, those due longest first."""
        reply: Any = self._take_script(keys=[WEBHOOKS], args=[n, lease_s])
        lease_end, job_ids = reply
        return [Taken(job_id.decode(), lease_end.decode()) for job_id in job_ids]

    def settle(self, taken: Taken, *, made: Try | None = None, next_s: float | None = None) -> None:
        """
        End the lease of a message.

        Args:
            made: A try to add to the job's log; None if none was made.
            next_s: Seconds until the message is due again; None if it never is.
        """
        self._settle_script(
            keys=[WEBHOOKS, log_key(taken.job_id), TOTALS],
            args=[
                taken.job_id,
                taken.lease_end,
                "" if next_s is None else next_s,
                "" if made is None else made.model_dump_json(),
                "" if made is None else made.outcome,
                _LOG_LENGTH,
                _LOG_KEPT_S,
            ],
        )

    def log(self, job_id: str) -> Sequence[Try]:
        """Every try for a job, the oldest first."""
        reply: Any = self._redis.lrange(log_key(job_id), 0, -1)
        return [Try.model_validate_json(entry) for entry in reply]

    def due_at(self, job_id: str) -> float | None:
        """When a job's message is sent next, in seconds since the epoch; None if it never is."""
        reply: Any = self._redis.zscore(WEBHOOKS, job_id)
        return None if reply is None else float(reply)


def log_key(job_id: str) -> str:
    """The Redis key of a job's log."""
    return f"longhand:deliveries:{job_id}"
