"""
Every change of a job or a run, by scripts that Redis runs whole or not at all.

Each change is written to the stream `EVENTS`, for the owner of each job that it is about.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from redis import Redis

from shared.connections import as_texts
from shared.jobs.scripts import ADOPT_OLDER, EDIT, ENTER, LEAVE, MOVE, REMOVE, RETRY, SETTLE
from shared.keys import JOB, RUN
from shared.records import Status


class Moves:
    """Calls the scripts."""

    def __init__(self, redis: Redis, *, lease_s: int) -> None:
        self._lease_s = lease_s
        self._move = redis.register_script(MOVE)
        self._enter = redis.register_script(ENTER)
        self._leave = redis.register_script(LEAVE)
        self._settle = redis.register_script(SETTLE)
        self._retry = redis.register_script(RETRY)
        self._remove = redis.register_script(REMOVE)
        self._edit = redis.register_script(EDIT)
        self._adopt = redis.register_script(ADOPT_OLDER)

    def move(
        self,
        run_id: str,
        wanted: Status,
        to: Status,
        fields: Mapping[str, Any],
        *,
        attempt: int,
        is_expired: bool = False,
    ) -> bool:
        """
        Move a run from the status `wanted`; returns whether it was moved.

        Args:
            attempt: The attempt it must be at.
            is_expired: Whether its lease must have run out.
        """
        condition = "expired" if is_expired else ""
        move: list[Any] = [run_id, wanted, attempt, condition, to, self._lease_s, _move_id()]
        answer = self._move(keys=[RUN.of(run_id)], args=[*move, *_pairs(fields)])
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
            cache: The key that names the run which the job may share; "" for none.
            idempotency: The key that names a job with the same Idempotency-Key, the fingerprint
                that must be equal then, and how many seconds the key lives.

        Returns:
            What was done, and the id of a run or job. `lead`: the job has a run of its own;
            `follow`: it shares that run; `done`: it was written with its end. If it was not
            written: `finished`: that run has its result; `same`: it is that job; `mismatch`: that
            job was another request.
        """
        reply: Any = self._enter(
            keys=[JOB.of(job_id), index], args=[job_id, cache, *idempotency, *_pairs(fields)]
        )
        outcome, other = as_texts(reply)
        return outcome, other

    def leave(self, job_id: str, *, is_gone: bool = False) -> bool:
        """
        Cancel a job; a run that no other job waits for is cancelled with it.

        Args:
            is_gone: Whether the caller's connection ended, and the owner did not ask for it. Then
                the job is cancelled only if it is still abandoned.

        Returns:
            Whether it was there and had not ended.
        """
        args = [job_id, "1" if is_gone else "", _move_id()]
        return bool(self._leave(keys=[JOB.of(job_id)], args=args) == b"left")

    def settle(self, job_id: str, run_id: str, result_key: str) -> bool:
        """End a job as its run ended; False if the job was deleted, or had ended before."""
        keys = [JOB.of(job_id), RUN.of(run_id)]
        answer = self._settle(keys=keys, args=[job_id, run_id, result_key])
        return bool(answer == b"settled")

    def retry(self, job_id: str) -> str:
        """
        Have a job that failed or was cancelled tried again.

        Returns:
            `begun`: it waits, with a run of its own; `joined`: it is back in the run that it began,
            which had gone on for others; otherwise its status, or `missing`.
        """
        reply: Any = self._retry(keys=[JOB.of(job_id)], args=[job_id, _move_id()])
        outcome: str = reply.decode()
        return outcome

    def remove(self, job_id: str) -> bool:
        """
        Remove a job from Redis, and the run that it began, unless others wait for that.

        Returns:
            Whether nobody needs what is stored for the job any more.
        """
        return bool(self._remove(keys=[JOB.of(job_id)], args=[job_id]))

    def edit(self, job_id: str, fields: Mapping[str, Any]) -> bool:
        """Change fields of a job; False if it is not there."""
        return bool(self._edit(keys=[JOB.of(job_id)], args=_pairs(fields)))

    def adopt(self, run_id: str) -> None:
        """Make a run of an older version's record; see `shared.jobs.older`."""
        self._adopt(keys=[JOB.of(run_id)], args=[run_id])


def _move_id() -> str:
    """An id by which a script recognises a move that a client repeats."""
    return uuid.uuid4().hex


def _pairs(fields: Mapping[Any, Any]) -> list[Any]:
    return [part for name, value in fields.items() for part in (name, value)]
