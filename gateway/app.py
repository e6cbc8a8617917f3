"""The whole application on one screen."""

from __future__ import annotations

from flask import Flask, Response
from flask.json.provider import DefaultJSONProvider

from gateway.errors import add_error_answers
from gateway.routes import health, jobs, models, transcribe, ui
from gateway.services import Services, open_services
from gateway.settings import GatewaySettings


class _Json(DefaultJSONProvider):
    """JSON with its fields in our order and its letters as they are."""

    ensure_ascii = False
    sort_keys = False


def create_app(settings: GatewaySettings, *, services: Services | None = None) -> Flask:
    """
    Build the gateway.

    Args:
        services: What it works with, instead of opening what the settings name.
    """
    app = Flask("gateway", static_folder="web", static_url_path="/web")
    app.json = _Json(app)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    (services or open_services(settings)).attach(app)
    for routes in (transcribe, jobs, models, health, ui):
        app.register_blueprint(routes.blueprint)
    add_error_answers(app)
    app.after_request(_harden)
    return app


def _harden(answer: Response) -> Response:
    """A browser shall take our answers for what they say they are."""
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")
    answer.headers.setdefault("Referrer-Policy", "no-referrer")
    return answer
