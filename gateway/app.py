"""The whole application on one screen."""

from __future__ import annotations

from functools import partial

from flask import Response
from flask.json.provider import DefaultJSONProvider
from werkzeug.routing import PathConverter

from gateway.access.auth import add_access
from gateway.access.breaches import Breaches
from gateway.access.callers import Access
from gateway.access.origins import Origins
from gateway.access.rates import limit_rates
from gateway.errors import add_error_answers
from gateway.metrics import Metrics
from gateway.outward.downloads import Downloader
from gateway.reading.probe import Probe
from gateway.reading.resumable import Uploads
from gateway.routes import (
    asr,
    assemblyai,
    audio,
    auth,
    batches,
    deepgram,
    deliveries,
    docs,
    events,
    health,
    jobs,
    legacy,
    metrics,
    models,
    openai,
    results,
    transcribe,
    ui,
    uploads,
    whisper_cpp,
)
from gateway.server.access_log import note_requests
from gateway.services import Services
from gateway.settings import GatewaySettings
from gateway.submission.batches import Batches
from gateway.submission.default_model import default_model_of
from gateway.waiting.postponed import PostponingFlask
from gateway.waiting.slots import Waiting
from gateway.waiting.watcher import Watcher
from shared.connections import connect_briefly
from shared.jobs import Jobs
from shared.storage import open_storage
from shared.workers import Workers

_ROUTES = (
    transcribe,
    batches,
    uploads,
    openai,
    legacy,
    asr,
    whisper_cpp,
    deepgram,
    assemblyai,
    jobs,
    results,
    audio,
    deliveries,
    events,
    models,
    health,
    metrics,
    auth,
    docs,
    ui,
)


class _Json(DefaultJSONProvider):
    """JSON with its fields in our order, and not escaped to ASCII."""

    ensure_ascii = False
    sort_keys = False


def open_services(settings: GatewaySettings) -> Services:
    """Connect to what the settings name."""
    redis = connect_briefly(settings.redis_url.get_secret_value())
    storage = open_storage(settings.storage_dir)
    jobs = Jobs(redis, storage, lease_s=settings.lease_s, max_attempts=settings.max_attempts)
    workers = Workers(redis)
    waiting = Waiting(jobs, n_slots=settings.waiting_slots)
    watcher = Watcher(jobs)
    return Services(
        settings=settings,
        access=Access(settings, host=settings.host),
        breaches=Breaches(settings.rate_limit),
        redis=redis,
        storage=storage,
        jobs=jobs,
        workers=workers,
        waiting=waiting,
        watcher=watcher,
        probe=Probe(
            timeout_s=settings.probe_timeout_s,
            memory_bytes=settings.probe_memory_bytes,
            n_at_once=settings.probes_at_once,
        ),
        downloads=Downloader(settings),
        batches=Batches(redis, storage, jobs),
        uploads=Uploads(
            redis,
            storage,
            ttl_s=settings.upload_ttl_s,
            most=settings.max_uploads,
            limit=settings.max_audio_bytes,
        ),
        metrics=Metrics(
            jobs,
            workers,
            waiting,
            watcher=watcher,
            default_model=partial(default_model_of, redis, settings),
        ),
    )


class _AnyPath(PathConverter):
    """A part of a path that may hold slashes and line breaks: callers may ask for any name."""

    part_isolating = False
    regex = "(?s:.+?)"


def create_app(settings: GatewaySettings, *, services: Services | None = None) -> PostponingFlask:
    """
    Build the gateway.

    Args:
        services: Its services; None opens those that the settings name.
    """
    app = PostponingFlask("gateway", static_folder="web", static_url_path="/web")
    app.json = _Json(app)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters["path"] = _AnyPath
    here = services or open_services(settings)
    here.attach(app)
    # First, so that refused requests are logged too.
    note_requests(app)
    add_access(app, Origins(settings.listed_origins))
    limit_rates(app, here)
    for routes in _ROUTES:
        app.register_blueprint(routes.blueprint)
    add_error_answers(app)
    app.after_request(_harden)
    return app


def _harden(answer: Response) -> Response:
    """Add headers that keep browsers from guessing types and from telling other sites our URLs."""
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")
    answer.headers.setdefault("Referrer-Policy", "no-referrer")
    return answer
