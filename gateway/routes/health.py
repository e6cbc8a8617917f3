"""`/health…`: for people, probes and load balancers."""

from __future__ import annotations

import logging
from typing import Any

from flask import Blueprint, Response, jsonify
from redis.exceptions import RedisError

from gateway.fields import read_query
from gateway.openapi.documented import Answer, documented
from gateway.services import Services, services
from gateway.shapes.health import Health, Live, NotReady, ReadyOption
from shared.errors import InvalidRequest

blueprint = Blueprint("health", __name__)
_log = logging.getLogger(__name__)


@blueprint.get("/health")
@documented(tag="Site", answers={200: Answer(Health)}, access="open")
def show_health() -> Response:
    """Say how the site is; 200 for as long as the gateway lives."""
    return jsonify(_look(services()))


@blueprint.get("/health/live")
@documented(tag="Site", answers={200: Answer(Live)}, access="open")
def show_live() -> Response:
    """200: the process answers. It asks nobody."""
    return jsonify(success=True, status="live", message="OK")


@blueprint.get("/health/ready")
@documented(
    tag="Site",
    query=(ReadyOption,),
    answers={200: Answer(Health), 503: Answer(NotReady)},
    errors=(InvalidRequest,),
    access="open",
)
def show_ready() -> Response:
    """200 if a job would be accepted; with `?workers=1` also only if a worker lives."""
    needs_worker = read_query(ReadyOption).workers
    seen = _look(services())
    ready = seen["ready"] and (seen["workers"] > 0 or not needs_worker)
    if ready:
        return jsonify(seen)
    answer = jsonify(seen | {"success": False, "error": seen["problem"], "code": "not_ready"})
    answer.status_code = 503
    return answer


def _look(here: Services) -> dict[str, Any]:
    engines: list[str] = []
    n_workers, queue, redis = 0, None, "connected"
    try:
        live = here.workers.live()
        n_workers, queue = len(live), here.jobs.counts()
        engines = sorted({worker.engine for worker in live})
    except RedisError as error:
        redis = "unreachable"
        _log.warning("Redis is away: %s", error)
    storage = "writable"
    try:
        here.storage.check()
    except OSError as error:
        storage = "not writable"
        _log.warning("storage cannot be written: %s", error)
    ready = redis == "connected" and storage == "writable"
    return {
        "success": True,
        "status": "healthy" if ready and n_workers else "degraded",
        "service": "longhand",
        "ready": ready,
        "backend": ", ".join(engines) or None,
        "faster_whisper": "up" if n_workers else "down",  # the word some monitors look for
        "redis": redis,
        "storage": storage,
        "workers": n_workers,
        "queue": queue,
        "problem": _problem(redis, storage, n_workers),
        "message": "OK",  # some clients wait for this word
    }


def _problem(redis: str, storage: str, n_workers: int) -> str | None:
    """Why the site is degraded, and what to do."""
    if redis != "connected":
        return "Redis cannot be reached; see LONGHAND_REDIS_URL"
    if storage != "writable":
        return "storage cannot be written; see LONGHAND_STORAGE_DIR"
    if not n_workers:
        return "no worker is running; jobs are accepted and wait for one"
    return None
