"""Checks before every route: where the request comes from, and who makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from flask import Flask, Response, current_app, g, request

from gateway.access.callers import Caller, refuse_untrusted_page, takes_token
from gateway.access.origins import Origins
from gateway.services import services
from shared.errors import Forbidden

AccessLevel = Literal["open", "user", "admin"]

_NEEDED = "access"
_ADMINS_ONLY = "this is for admins: a key with the role admin, or a user of LONGHAND_ADMINS"


def present_owner() -> str:
    """
    The owner whose jobs the present request makes and may see.

    Raises:
        Unauthorized: The caller has to show a key.
        InvalidRequest: A trusted proxy sends an unusable name.
    """
    return present_caller().owner


def present_caller() -> Caller:
    """Who makes the present request; see `present_owner` for the errors."""
    if "caller" not in g:
        g.caller = services().access.identify(
            headers=request.headers, peer=request.remote_addr, token=_token()
        )
    caller = g.caller
    assert isinstance(caller, Caller)
    return caller


def present_access() -> AccessLevel:
    """Who may call the present route: users, unless the route says otherwise."""
    view = current_app.view_functions.get(request.endpoint or "")
    rule = request.url_rule
    if view is None or rule is None or request.endpoint == "static":
        return "open"  # there is no route, or it is a file of the page
    if request.method == "OPTIONS" and getattr(rule, "provide_automatic_options", False):
        return "open"  # Flask answers with the methods
    access: AccessLevel = getattr(view, _NEEDED, "user")
    return access


def set_access(view: Callable[..., Any], access: AccessLevel) -> None:
    """Set who may call a view."""
    setattr(view, _NEEDED, access)


def add_access(app: Flask, origins: Origins) -> None:
    """Refuse callers who may not call a route; let pages of listed origins read answers."""

    def admit() -> Response | None:
        found = origins.preflight_headers(request.method, request.headers)
        if found is not None:
            return Response(status=204, headers=dict(found))
        origins.refuse_foreign(request.method, request.headers)
        if origins.is_untrusted_page(request.method, request.headers):
            refuse_untrusted_page(present_caller(), origins, request.method, request.headers)
        access = present_access()
        if access != "open":
            caller = present_caller()  # raises if they have to show a key
            if access == "admin" and caller.role != "admin":
                raise Forbidden(_ADMINS_ONLY)
        return None

    def tell_browsers(answer: Response) -> Response:
        answer.headers.extend(origins.answer_headers(request.headers.get("Origin")))
        if origins.vary:
            answer.vary.add("Origin")
        return answer

    app.before_request(admit)
    app.after_request(tell_browsers)


def _token() -> str | None:
    if request.method not in ("GET", "HEAD") or not takes_token(request.path):
        return None
    return request.args.get("token")
