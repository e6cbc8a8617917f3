"""Whether the site works: its parts, and in one sentence what is wrong."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from redis.exceptions import RedisError

from gateway.answering.shapes.base import WarningShown
from gateway.answering.shapes.health import Health, Queue
from gateway.services import Services
from gateway.submission.default_model import default_model
from shared.catalogue import MODELS
from shared.phrase_book import PHRASE_BOOK, WARNING, WARNING_CODE
from shared.workers import WorkerRecord, own_models

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DefaultModel:
    """
    The model of requests that name none.

    Attributes:
        name: None while Redis is away, so that the choice is not known.
        is_usable: Whether a running worker can use it, as far as is known.
        problem: Why none can, and what to do; None if one can, or no worker is running.
    """

    name: str | None
    is_usable: bool
    problem: str | None = None


def notices(model: str | None) -> list[WarningShown]:
    """The warnings that every text by a model has."""
    return [WarningShown(code=WARNING_CODE, message=WARNING)] if model == PHRASE_BOOK else []


def look_at_default(here: Services, live: Sequence[WorkerRecord]) -> DefaultModel:
    """
    Find out whether a worker can do requests that name no model.

    Raises:
        RedisError: It is away.
    """
    name = default_model(here)
    if name is None or any(worker.is_usable(name) for worker in live):
        return DefaultModel(name, is_usable=name is not None)
    return DefaultModel(name, False, _why_not(name, live) if live else None)


def _why_not(name: str, live: Sequence[WorkerRecord]) -> str:
    said = next((w.failed[name] for w in live if w.can_run(name) and name in w.failed), None)
    if said:
        return f"the default model {name!r} did not load: {said}"
    start = f"no worker has the default model {name!r} (LONGHAND_DEFAULT_MODEL)"
    known = [*MODELS, *own_models(live)]
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{start}, and no catalogue knows it{hint}"
    return f"{start} or may fetch it (LONGHAND_DOWNLOADS); `./longhand models pull {name}` does"


def find_condition(here: Services) -> Health:
    """Find out whether the site works: ask Redis, storage and the records of workers."""
    live: list[WorkerRecord] = []
    queue, has_begun = None, True
    redis: Literal["connected", "unreachable"] = "connected"
    default = DefaultModel(None, is_usable=False)
    try:
        live, queue = here.workers.live(), here.jobs.figures.counts()
        has_begun = bool(live) or here.workers.have_been()
        default = look_at_default(here, live)
    except RedisError as error:
        redis = "unreachable"
        _log.warning("Redis is away: %s", error)
    storage: Literal["writable", "not writable"] = "writable"
    try:
        here.storage.check()
    except OSError as error:
        storage = "not writable"
        _log.warning("storage cannot be written: %s", error)
    ready = redis == "connected" and storage == "writable"
    problem = _problem(redis, storage, live, has_begun=has_begun) or default.problem
    return Health(
        success=True,
        status="degraded" if problem else "healthy",
        service="longhand",
        ready=ready,
        starting=ready and not has_begun,
        backend=", ".join(sorted({worker.engine for worker in live})) or None,
        faster_whisper="up" if live else "down",  # some monitors look for this word
        redis=redis,
        storage=storage,
        workers=len(live),
        queue=queue and Queue(**queue),
        live_sessions_free=sum(max(0, worker.live_sessions - worker.n_live) for worker in live),
        default_model=default.name,
        default_model_usable=default.is_usable,
        problem=problem,
        warnings=notices(default.name),
        message="OK",  # some clients wait for this word
    )


def _problem(
    redis: str, storage: str, live: Sequence[WorkerRecord], *, has_begun: bool
) -> str | None:
    """Why no job would be accepted, or done, and what to do about it."""
    if redis != "connected":
        return "Redis cannot be reached; see LONGHAND_REDIS_URL"
    if storage != "writable":
        return "storage cannot be written; see LONGHAND_STORAGE_DIR"
    if live:
        return None
    if not has_begun:
        return (
            "no worker is running yet; one that fetches or loads its model first takes jobs once "
            "it is done, and its log says how far it is"
        )
    return "no worker is running; jobs are accepted and wait for one"
