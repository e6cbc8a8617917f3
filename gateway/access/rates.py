"""How many requests a caller may make, counted in Redis, or in memory while it is away."""

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

    Routes for everybody, health among them, are not counted. With several gateways a caller's
    requests to all of them count together. Gateways that cannot reach Redis count for
    themselves, from the whole rate: a limit shall not be what fails first.
    """
    limiter = Limiter(
        _caller_key,
        application_limits=[_rate],
        storage_uri="redis://",  # the kind alone: the connections are those we have
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
        # As if a route had raised it: each family of routes has its own shape of errors.
        return app.make_response(app.handle_user_exception(refused))

    app.register_error_handler(RateLimitExceeded, answer)


def _rate() -> str:
    return services().breaches.rate_of(present_caller())


def _caller_key() -> str:
    return name_of(present_caller(), request.remote_addr)


def _note_when_to_return(limit: RequestLimit) -> None:
    # Here an error of Redis still leads to the count in memory; in `answer` it would be a 500.
    g.rate_resets_at = limit.reset_at
