"""Callers who hang up while they wait for a job or read it: does anybody else know of it?"""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import request

from gateway.errors import REDIS_AWAY
from gateway.services import Services
from gateway.submission.sharing import KEY_HEADER
from shared.records import JobRecord, new_job_id

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
        if self._has_key:
            self._here.jobs.callers.sign(self._job_id, self._name)

    def leave(self) -> bool:
        """Say that he has gone; whether nobody is left who knows of the job."""
        return not self._has_key or self._here.jobs.callers.sign_off(self._job_id, self._name)


def hand_out(here: Services, record: JobRecord) -> None:
    """
    Note that a caller is given the id of a job that goes on: no connection ends it now.

    Only a job with an Idempotency-Key has callers who may hang up later.
    """
    if record.status.is_final or KEY_HEADER not in request.headers:
        return
    try:
        here.jobs.callers.hand_out(record.id)
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
        here.jobs.callers.abandon(record.id, here.settings.abandon_after_s)
        # Looked at afterwards: whoever stays, or hands the id out, takes it back himself.
        if not reader.leave():
            here.jobs.callers.keep(record.id)
    except REDIS_AWAY as error:
        _log.warning("job %s goes on without its caller, Redis is away: %s", record.id, error)
    return True
