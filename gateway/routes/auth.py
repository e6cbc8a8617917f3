"""`/_auth`: nginx asks whether a request's key is valid (`auth_request`)."""

from __future__ import annotations

from flask import Blueprint, Response, request

from gateway.access.callers import protocol_key, token_in
from gateway.openapi.documented import Answer, documented
from gateway.services import services
from shared.errors import Unauthorized

blueprint = Blueprint("auth", __name__)

_NO = 401


@blueprint.get("/_auth")
@documented(
    tag="Site",
    answers={
        204: Answer(
            media_types=(),
            description="The key is valid.",
            headers={"X-Longhand-Key": "`valid`, for a proxy to read."},
        ),
        401: Answer(media_types=(), description="There is no key, a wrong one, or keys are off."),
    },
    access="open",
    headers={
        "X-Original-URI": "What is asked for, query included: it may hold the key.",
        "X-Original-Method": "How it is asked for; `GET` unless given.",
        "X-Original-Upgrade": "`websocket` if it opens one, which may show its key in "
        "`Sec-WebSocket-Protocol`, or on paths of live speech in the query.",
    },
)
def check_key() -> Response:
    """
    Answer 204 if the request shows a valid key, else 401.

    With keys off it is always 401, so that an invented key does not replace a password.
    """
    is_websocket = request.headers.get("X-Original-Upgrade", "").lower() == "websocket"
    token = token_in(
        request.headers.get("X-Original-URI", ""),
        request.headers.get("X-Original-Method", "GET"),
        is_websocket=is_websocket,
    )
    if token is None and is_websocket:
        token = protocol_key(request.headers.get("Sec-WebSocket-Protocol", ""))
    try:
        caller = services().access.by_key(headers=request.headers, token=token)
    except Unauthorized:
        caller = None
    # No WWW-Authenticate: nginx would pass it on, and browsers would not ask for a password.
    answer = Response(status=204 if caller else _NO)
    answer.headers.pop("Content-Type", None)
    if caller:
        # nginx then passes on no user name, since it did not check a password.
        answer.headers["X-Longhand-Key"] = "valid"
    return answer
