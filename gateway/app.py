"""The whole application on one screen."""

from __future__ import annotations

from flask import Response
from flask.json.provider import DefaultJSONProvider
from werkzeug.routing import PathConverter

from gateway.access.auth import add_access
from gateway.access.origins import Origins
from gateway.access.rates import limit_rates
from gateway.access_log import note_requests
from gateway.errors import add_error_answers
from gateway.postponed import PostponingFlask
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
from gateway.services import Services, open_services
from gateway.settings import GatewaySettings

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
    """JSON with its fields in our order and its letters as they are."""

    ensure_ascii = False
    sort_keys = False


class _AnyPath(PathConverter):
    """A part of a path with slashes, line breaks too: any name is asked for, if in vain."""

    part_isolating = False
    regex = "(?s:.+?)"


def create_app(settings: GatewaySettings, *, services: Services | None = None) -> PostponingFlask:
    """
    Build the gateway.

    Args:
        services: What it works with, instead of opening what the settings name.
    """
    app = PostponingFlask("gateway", static_folder="web", static_url_path="/web")
    app.json = _Json(app)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters["path"] = _AnyPath
    here = services or open_services(settings)
    here.attach(app)
    # First, so that what is refused is noted too.
    note_requests(app)
    add_access(app, Origins(settings.listed_origins))
    limit_rates(app, here)
    for routes in _ROUTES:
        app.register_blueprint(routes.blueprint)
    add_error_answers(app)
    app.after_request(_harden)
    return app


def _harden(answer: Response) -> Response:
    """A browser shall take our answers for what they say they are."""
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")
    answer.headers.setdefault("Referrer-Policy", "no-referrer")
    return answer
