"""`/`: a page for people, or JSON about the service for programs."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, current_app, jsonify, request

from gateway.answering.shapes.ui import ServiceInfo
from gateway.openapi.documented import Answer, documented

blueprint = Blueprint("ui", __name__)

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@blueprint.get("/")
@documented(
    tag="Site",
    answers={200: Answer(ServiceInfo, media_types=("text/html", "application/json"))},
    access="open",
    headers={"Accept": "`application/json` for JSON, else the page."},
)
def show_page() -> Response:
    """Give the page, or JSON to a program that asks for it."""
    best = request.accept_mimetypes.best_match(["text/html", "application/json"])
    if best == "application/json":
        answer = jsonify(ServiceInfo(success=True, service="longhand", routes=_routes()).value())
    else:
        answer = current_app.send_static_file("index.html")
        answer.headers["Content-Security-Policy"] = _POLICY
        answer.headers["X-Frame-Options"] = "DENY"
    answer.vary.add("Accept")
    return answer


@blueprint.get("/test_form.html")
@documented(tag="Older systems", access="open", answers={200: Answer(media_types=("text/html",))})
def show_test_form() -> Response:
    """Give a page to try routes by hand; its file also works when opened from disk."""
    answer = current_app.send_static_file("test_form.html")
    answer.headers["Content-Security-Policy"] = _test_form_policy()
    answer.headers["X-Frame-Options"] = "DENY"
    return answer


@cache
def _test_form_policy() -> str:
    """A policy that allows only the script and the style in the page itself."""
    assert current_app.static_folder
    page = (Path(current_app.static_folder) / "test_form.html").read_text(encoding="utf-8")
    found = {}
    for kind in ("script", "style"):
        text = page.partition(f"<{kind}>")[2].partition(f"</{kind}>")[0]
        found[kind] = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{found['script']}'; "
        f"style-src 'sha256-{found['style']}'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


def _routes() -> list[str]:
    return sorted(
        f"{method} {rule.rule}"
        for rule in current_app.url_map.iter_rules()
        for method in rule.methods or ()
        if method not in ("HEAD", "OPTIONS") and rule.endpoint != "static"
    )
