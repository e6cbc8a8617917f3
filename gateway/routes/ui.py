"""`/`: a page for people, or what this service is for programs."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify, request

blueprint = Blueprint("ui", __name__)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@blueprint.get("/")
def show_page() -> Response:
    """Give the page, or JSON to whoever asks for that."""
    best = request.accept_mimetypes.best_match(["text/html", "application/json"])
    if best == "application/json":
        answer = jsonify(success=True, service="longhand", routes=_routes())
    else:
        answer = current_app.send_static_file("index.html")
        answer.headers["Content-Security-Policy"] = _POLICY
        answer.headers["X-Frame-Options"] = "DENY"
    answer.vary.add("Accept")
    return answer


def _routes() -> list[str]:
    return sorted(
        f"{method} {rule.rule}"
        for rule in current_app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS") and rule.endpoint != "static"
    )
