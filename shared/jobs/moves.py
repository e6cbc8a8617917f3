"""
Every change of a job's record: scripts that Redis runs whole, or not at all.

A job whose run is shared is *followed*: `longhand:job:{id}:followers` holds the
jobs that wait for it. Every change is told on the stream `longhand:events`, to
the owner of the job and to the owners of its followers.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from redis import Redis

from shared.connections import as_texts
from shared.jobs.scripts import EDIT, ENTER, LEAVE, MOVE, SETTLE, UNRELEASE
from shared.keys import CHUNKS, JOB
from shared.records import Status


class Moves:
    """The scripts, with what they are given."""

    def __init__(self, redis: Redis, *, lease_s: int) -> None:
        self._lease_s = lease_s
        self._move = redis.register_script(MOVE)
        self._enter = redis.register_script(ENTER)
        self._leave = redis.register_script(LEAVE)
        self._settle = redis.register_script(SETTLE)
        self._edit = redis.register_script(EDIT)
        self._unrelease = redis.register_script(UNRELEASE)

    def move(
        self,
        job_id: str,
        wanted: tuple[Status, ...],
        to: Status,
        fields: Mapping[str, Any],
        *,
        attempt: int | None = None,
        condition: str = "",
    ) -> bool:
        """
        Move a job from one of the statuses `wanted`; whether it was moved.

        Args:
            attempt: The attempt it must be at; None for any.
            condition: `expired`, its lease must have run out; or `released`, its owner must
                have left it.
        """
        answer = self._move(
            keys=[JOB.of(job_id), CHUNKS.of(job_id)],
            args=[
                job_id,
                ",".join(wanted),
                "" if attempt is None else attempt,
                condition,
                to.value,
                self._lease_s,
                uuid.uuid4().hex,
                *_pairs(fields),
            ],
        )
        return bool(answer == b"moved")

    def enter(
        self,
        job_id: str,
        index: str,
        fields: Mapping[Any, Any],
        *,
        cache: str = "",
        idempotency: tuple[str, str, int] = ("", "", 0),
    ) -> tuple[str, str]:
        """
        Write a new job, unless there is no need to.

        Args:
            cache: Where the run is named that the job may share; "" for none.
            idempotency: Where a job with the same key is named, the fingerprint that must be
                equal then, and for how many seconds that holds.

        Returns:
            `lead`: it is to be run; `follow`: it shares the run of the job named; `done`: it was
            written as it ended; and without writing it, `finished`: the job named has its result;
            `same`: the job named is this one; `mismatch`: that one was another request.
        """
        reply: Any = self._enter(
            keys=[JOB.of(job_id), index], args=[job_id, cache, *idempotency, *_pairs(fields)]
        )
        outcome, other = as_texts(reply)
        return outcome, other

    def leave(self, job_id: str, how: str, *, is_gone: bool = False) -> tuple[str, str]:
        """
        Let an owner go from a job.

        Args:
            how: `cancelled` or `deleted`.
            is_gone: Whether nobody said so, but his connection ended.

        Returns:
            `missing`; `left`: it followed, and is cancelled; `last`: the same, and nobody wants
            the run of the job named any more; `released`: others follow it, its run goes on;
            `alone`: nobody follows, nor can any more; `ended`: it had ended.
        """
        reply: Any = self._leave(keys=[JOB.of(job_id)], args=[job_id, how, "1" if is_gone else ""])
        outcome, other = as_texts(reply)
        return outcome, other

    def settle(self, job_id: str, run: str, result_key: str) -> bool:
        """Make what became of a run a follower's own; False if it is there no more, or ended."""
        answer = self._settle(keys=[JOB.of(job_id), JOB.of(run)], args=[job_id, run, result_key])
        return bool(answer == b"settled")

    def edit(self, job_id: str, fields: Mapping[str, Any]) -> bool:
        """Change fields of a job; False if it is not there."""
        return bool(self._edit(keys=[JOB.of(job_id)], args=_pairs(fields)))

    def unrelease(self, job_id: str) -> bool:
        """Take back that an owner cancelled a job which others follow."""
        return bool(self._unrelease(keys=[JOB.of(job_id)], args=[job_id]))


def _pairs(fields: Mapping[Any, Any]) -> list[Any]:
    return [part for name, value in fields.items() for part in (name, value)]
