"""Callers who disconnect while they wait for a job or read it: does anyone else know the job?"""

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
"""As long as an Idempotency-Key names its job."""

_LASTS_S = 10
"""A reader who gave no sign for this long is gone: their gateway died."""

_log = logging.getLogger(__name__)


def disconnect_check() -> Callable[[], bool]:
    """
    A function that says whether the present caller has disconnected.

    It always says no under a server that cannot tell, such as Flask's own.
    """
    found: Callable[[], bool] | None = request.environ.get("waitress.client_disconnected")
    return found or (lambda: False)


class Reader:
    """
    The present caller, who waits for a job or reads it while it is made.

    Several callers share one job only by an Idempotency-Key, or when one was given the job's id.
    So without such a key this caller is the only one, and Redis is not asked.
    """

    def __init__(self, here: Services, record: JobRecord) -> None:
        self._here = here
        self._job_id = record.id
        self._has_key = KEY_HEADER in request.headers
        self._name = new_job_id()

    def stay(self) -> None:
        """Say that this caller is still there. To be called every few seconds."""
        if not self._has_key:
            return
        readers, now = _readers_key(self._job_id), redis_time(self._here.redis)
        pipe = self._here.redis.pipeline()
        pipe.zadd(readers, {self._name: now + _LASTS_S})
        pipe.expire(readers, _LASTS_S)
        # An earlier reader's disconnect may be noticed only now.
        pipe.zrem(ABANDONED, self._job_id)
        pipe.execute()

    def leave(self) -> bool:
        """
        Say that this caller has gone.

        Returns:
            Whether nobody is left who reads the job or knows its id.
        """
        if not self._has_key:
            return True
        readers, now = _readers_key(self._job_id), redis_time(self._here.redis)
        pipe = self._here.redis.pipeline()
        pipe.zrem(readers, self._name)
        pipe.zcount(readers, now, "+inf")
        pipe.exists(_known_key(self._job_id))
        _, n_others, is_known = pipe.execute()
        return not n_others and not is_known


def note_id_known(here: Services, record: JobRecord) -> None:
    """
    Note that a caller is told the id of a job that goes on, so that no disconnect ends the job.

    This matters only for a job with an Idempotency-Key: others have one caller, who now knows it.
    """
    if record.status.is_final or KEY_HEADER not in request.headers:
        return
    try:
        here.redis.set(_known_key(record.id), 1, ex=_KNOWN_S)
        here.redis.zrem(ABANDONED, record.id)
    except REDIS_AWAY as error:
        _log.warning("job %s may end with a connection, Redis is away: %s", record.id, error)


def abandon_if_disconnected(here: Services, record: JobRecord, reader: Reader) -> bool:
    """
    Abandon a job if the caller who waited for it has disconnected.

    The job is cancelled `LONGHAND_ABANDON_AFTER_S` later, unless somebody else reads it or is
    told its id.

    Returns:
        Whether the caller has disconnected.
    """
    if record.status.is_final or not disconnect_check()():
        return False
    try:
        here.jobs.abandon(record.id, here.settings.abandon_after_s)
        # Checked after the abandoning: a reader who comes later takes it back themselves.
        if not reader.leave():
            here.redis.zrem(ABANDONED, record.id)
    except REDIS_AWAY as error:
        _log.warning("job %s goes on without its caller, Redis is away: %s", record.id, error)
    return True


def _known_key(job_id: str) -> str:
    return f"longhand:job:{job_id}:known"


def _readers_key(job_id: str) -> str:
    return f"longhand:job:{job_id}:readers"
