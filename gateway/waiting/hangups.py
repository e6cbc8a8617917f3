"""Callers who hang up while they wait for a job or read it: does anybody else know of it?"""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import request

from gateway.errors import REDIS_AWAY
from gateway.services import Services
from gateway.submission.sharing import KEY_HEADER
from shared.connections import redis_time
from shared.records import JobRecord, new_job_id
from shared.scripts import ABANDONED

_KNOWN_S = 24 * 3600
"""As long as an Idempotency-Key stands for its job."""

_LASTS_S = 10
"""A reader who gave no sign for so long is no more: his gateway died."""

_log = logging.getLogger(__name__)


def is_gone() -> Callable[[], bool] | None:
    """What tells whether the present caller has hung up; None where the server cannot tell."""
    found: Callable[[], bool] | None = request.environ.get("waitress.client_disconnected")
    return found


class Reader:
    """
    The present caller, who waits for a job or reads it while it is made.

    Only an Idempotency-Key brings several to one job, or somebody who was given its id.
    Without one nobody else can keep the job, and nobody is asked.
    """

    def __init__(self, here: Services, record: JobRecord) -> None:
        self._here = here
        self._job_id = record.id
        self._has_key = KEY_HEADER in request.headers
        self._name = new_job_id()

    def stay(self) -> None:
        """Say that he is still there: to be called again and again."""
        if not self._has_key:
            return
        readers, now = _readers_key(self._job_id), redis_time(self._here.redis)
        pipe = self._here.redis.pipeline()
        pipe.zadd(readers, {self._name: now + _LASTS_S})
        pipe.expire(readers, _LASTS_S)
        # The hang-up of one who came earlier may be seen late.
        pipe.zrem(ABANDONED, self._job_id)
        pipe.execute()

    def leave(self) -> bool:
        """Say that he has gone; whether nobody is left who knows of the job."""
        if not self._has_key:
            return True
        readers, now = _readers_key(self._job_id), redis_time(self._here.redis)
        pipe = self._here.redis.pipeline()
        pipe.zrem(readers, self._name)
        pipe.zcount(readers, now, "+inf")
        pipe.exists(_known_key(self._job_id))
        _, n_others, is_known = pipe.execute()
        return not n_others and not is_known


def hand_out(here: Services, record: JobRecord) -> None:
    """
    Note that a caller is given the id of a job that goes on: no connection ends it now.

    Only a job with an Idempotency-Key has callers who may hang up later.
    """
    if record.status.is_final or KEY_HEADER not in request.headers:
        return
    try:
        here.redis.set(_known_key(record.id), 1, ex=_KNOWN_S)
        here.redis.zrem(ABANDONED, record.id)
    except REDIS_AWAY as error:
        _log.warning("job %s may end with a connection, Redis is away: %s", record.id, error)


def let_go(here: Services, record: JobRecord, reader: Reader) -> bool:
    """
    Abandon a job if the caller who waited for it has hung up; whether he has.

    It is cancelled after `LONGHAND_ABANDON_AFTER_S`, unless somebody else reads it, or its id is
    handed out.
    """
    gone = is_gone()
    if record.status.is_final or gone is None or not gone():
        return False
    try:
        here.jobs.abandon(record.id, here.settings.abandon_after_s)
        # Looked at afterwards: whoever stays, or hands the id out, takes it back himself.
        if not reader.leave():
            here.redis.zrem(ABANDONED, record.id)
    except REDIS_AWAY as error:
        _log.warning("job %s goes on without its caller, Redis is away: %s", record.id, error)
    return True


def _known_key(job_id: str) -> str:
    return f"longhand:job:{job_id}:known"


def _readers_key(job_id: str) -> str:
    return f"longhand:job:{job_id}:readers"
