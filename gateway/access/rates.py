"""Rate limits: requests are counted in Redis, or in memory while Redis is away."""

from __future__ import annotations

from flask import Flask, Response, g, request
from flask_limiter import Limiter, RequestLimit
from flask_limiter.errors import RateLimitExceeded

from gateway.access.auth import present_access, present_caller
from gateway.access.breaches import name_of
from gateway.services import Services, services
from shared.keys import RATES


def limit_rates(app: Flask, here: Services) -> None:
    """
    Answer 429 to callers who make more requests than they may.

    Open routes, such as `/health`, are not counted. Several gateways count a caller's requests
    together. A gateway that cannot reach Redis counts alone, up to the whole rate: an outage does
    not refuse callers.
    """
    limiter = Limiter(
        _caller_key,
        application_limits=[_rate],
        storage_uri="redis://",  # only the kind; the connections are ours
        storage_options={
            "connection_pool": here.redis.connection_pool,  # type: ignore[dict-item]
            "key_prefix": RATES.prefix.rstrip(":"),
        },
        in_memory_fallback_enabled=True,
        on_breach=_note_when_to_return,
    )
    limiter.request_filter(lambda: present_access() == "open" or not _rate())
    limiter.init_app(app)

    def answer(_error: RateLimitExceeded) -> Response:
        refused = here.breaches.note(present_caller(), request.remote_addr, g.rate_resets_at)
        # As if a route had raised it, so that it gets the shape of the route's family.
        return app.make_response(app.handle_user_exception(refused))

    app.register_error_handler(RateLimitExceeded, answer)


def _rate() -> str:
    return services().breaches.rate_of(present_caller())


def _caller_key() -> str:
    return name_of(present_caller(), request.remote_addr)


def _note_when_to_return(limit: RequestLimit) -> None:
    # Read here, since an error of Redis here makes the limiter count in memory. In `answer` it
    # would be a 500.
    g.rate_resets_at = limit.reset_at
