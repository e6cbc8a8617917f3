"""
Which messages to callers are due, who sends them now, and how each try ended.

A gateway that takes a message moves its time on by a lease. So a gateway that dies only delays its
messages, and two gateways do not send the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis import Redis

from shared.jobs.index_scripts import GIVE_BACK_MESSAGE, TAKE_MESSAGES
from shared.keys import DELIVERIES, TOTALS, WEBHOOKS

_LOG_KEPT_S = 30 * 24 * 3600
_LOG_LENGTH = 100


@dataclass(frozen=True)
class Taken:
    """A job whose message is this gateway's to send until the lease ends."""

    job_id: str
    lease_end: str


class Messages:
    """The messages of a site: one for each job with a `callback_url` that ended."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take = redis.register_script(TAKE_MESSAGES)
        self._give_back = redis.register_script(GIVE_BACK_MESSAGE)

    def take(self, n: int, *, lease_s: float) -> list[Taken]:
        """Take at most `n` messages that are due, the oldest first."""
        reply: Any = self._take(keys=[WEBHOOKS], args=[n, lease_s])
        lease_end, job_ids = reply
        return [Taken(job_id.decode(), lease_end.decode()) for job_id in job_ids]

    def give_back(
        self, taken: Taken, *, next_s: float | None, entry: str = "", outcome: str = ""
    ) -> None:
        """
        Give a message back after a try.

        Args:
            next_s: Seconds until it is due again; None if it never is.
            entry: To be added to the job's log; "" for nothing.
            outcome: The outcome of the try, which is counted.
        """
        self._give_back(
            keys=[WEBHOOKS, DELIVERIES.of(taken.job_id), TOTALS],
            args=[
                taken.job_id,
                taken.lease_end,
                "" if next_s is None else next_s,
                entry,
                outcome,
                _LOG_LENGTH,
                _LOG_KEPT_S,
            ],
        )

    def entries(self, job_id: str) -> list[bytes]:
        """A job's log, the oldest entry first."""
        reply: Any = self._redis.lrange(DELIVERIES.of(job_id), 0, -1)
        return list(reply)

    def due_at(self, job_id: str) -> float | None:
        """When a job's message is sent next, in seconds since the epoch; None if it never is."""
        reply: Any = self._redis.zscore(WEBHOOKS, job_id)
        return None if reply is None else float(reply)
