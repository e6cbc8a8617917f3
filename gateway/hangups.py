"""A caller who hangs up while he waits: does anybody know of his job?"""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import request

from gateway.errors import REDIS_AWAY
from gateway.services import Services
from gateway.sharing import KEY_HEADER
from shared.records import JobRecord
from shared.scripts import ABANDONED

_KNOWN_S = 24 * 3600
"""As long as an Idempotency-Key stands for its job."""

_log = logging.getLogger(__name__)


def is_gone() -> Callable[[], bool] | None:
    """What tells whether the present caller has hung up; None where the server cannot tell."""
    found: Callable[[], bool] | None = request.environ.get("waitress.client_disconnected")
    return found


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


def stay(here: Services, record: JobRecord) -> Callable[[], object] | None:
    """
    What keeps a job while the present caller waits for it, to be called again and again.

    With an Idempotency-Key several may wait for one job, and the hang-up of one who came earlier
    may be seen late. None where there is no key, as nobody else can have let go of the job.
    """
    if KEY_HEADER not in request.headers:
        return None
    return lambda: here.redis.zrem(ABANDONED, record.id)


def let_go(here: Services, record: JobRecord) -> bool:
    """
    Abandon a job if the caller who waited for it has hung up; whether he has.

    It is cancelled after `LONGHAND_ABANDON_AFTER_S`, unless its id is handed out.
    """
    gone = is_gone()
    if record.status.is_final or gone is None or not gone():
        return False
    try:
        here.jobs.abandon(record.id, here.settings.abandon_after_s)
        # Looked at afterwards: whoever hands the id out meanwhile takes it back himself.
        if here.redis.exists(_known_key(record.id)):
            here.redis.zrem(ABANDONED, record.id)
    except REDIS_AWAY as error:
        _log.warning("job %s goes on without its caller, Redis is away: %s", record.id, error)
    return True


def _known_key(job_id: str) -> str:
    return f"longhand:job:{job_id}:known"
