"""Callers who disconnect while they wait for a job or read it, and what becomes of the job."""

from __future__ import annotations

import logging
from collections.abc import Callable

from flask import request

from gateway.errors import REDIS_AWAY
from gateway.services import Services
from gateway.submission.sharing import KEY_HEADER
from shared.records import JobRecord, new_job_id

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
        if self._has_key:
            self._here.jobs.callers.sign(self._job_id, self._name)

    def leave(self) -> bool:
        """
        Say that this caller has gone.

        Returns:
            Whether nobody is left who reads the job or knows its id.
        """
        return not self._has_key or self._here.jobs.callers.sign_off(self._job_id, self._name)


def note_id_known(here: Services, record: JobRecord) -> None:
    """
    Note that a caller gets the id of a job that goes on: no disconnect ends such a job.

    This matters only for a job with an Idempotency-Key: others have one caller, who now knows it.
    """
    if record.status.is_final or KEY_HEADER not in request.headers:
        return
    try:
        here.jobs.callers.hand_out(record.id)
    except REDIS_AWAY as error:
        _log.warning("job %s may end with a connection, Redis is away: %s", record.id, error)


def abandon_if_disconnected(here: Services, record: JobRecord, reader: Reader) -> bool:
    """
    Abandon a job if the caller who waited for it has disconnected.

    The job is cancelled `LONGHAND_ABANDON_AFTER_S` later, unless somebody else reads it or gets
    its id.

    Returns:
        Whether the caller has disconnected.
    """
    if record.status.is_final or not disconnect_check()():
        return False
    try:
        here.jobs.callers.abandon(record.id, here.settings.abandon_after_s)
        # Checked after the abandoning: a reader who comes later undoes it themselves.
        if not reader.leave():
            here.jobs.callers.keep(record.id)
    except REDIS_AWAY as error:
        _log.warning("job %s goes on without its caller, Redis is away: %s", record.id, error)
    return True
