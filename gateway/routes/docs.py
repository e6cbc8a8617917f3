"""`/openapi.json` and `/docs`: what every route takes and answers."""

from __future__ import annotations

import json

from flask import Blueprint, Response, current_app, request

from gateway.answering.shapes.docs import OpenAPIDocument
from gateway.openapi.document import build_document
from gateway.openapi.documented import Answer, documented

blueprint = Blueprint("docs", __name__)

_NAME = "longhand.openapi"
# The icons of Swagger UI are `data:` URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@blueprint.get("/openapi.json")
@documented(
    tag="Site",
    access="open",
    answers={200: Answer(OpenAPIDocument, description="The document."), 304: Answer()},
    headers={"If-None-Match": "The `ETag` of the document you have."},
)
def show_openapi() -> Response:
    """Give the OpenAPI 3.1 document of this site."""
    known = current_app.extensions
    if _NAME not in known:  # built now, when all routes are registered
        known[_NAME] = json.dumps(build_document(current_app), ensure_ascii=False, indent=2)
    answer = Response(known[_NAME], mimetype="application/json")
    answer.add_etag()
    answer.headers["Cache-Control"] = "no-cache"
    answer.make_conditional(request)
    return answer


@blueprint.get("/docs")
@documented(
    tag="Site",
    access="open",
    answers={200: Answer(media_types=("text/html",), description="The page.")},
)
def show_docs() -> Response:
    """Give a page to read the document and to try routes."""
    answer = current_app.send_static_file("docs.html")
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["X-Frame-Options"] = "DENY"
    return answer
