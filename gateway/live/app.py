"""The application of gateway.live on one screen."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.access.callers import Access
from gateway.access.headers import REQUEST_ID, choose_request_id
from gateway.access.origins import Origins
from gateway.live.errors import ERROR_ANSWERS
from gateway.live.listening import Listening
from gateway.live.protocols import PROTOCOLS
from gateway.live.protocols.wyoming.server import serving
from gateway.live.routes import Routes
from gateway.live.sessions.opening import Clients, LiveSessions
from gateway.live.status import StatusReader
from gateway.live.tail import Tail, connect_tail
from gateway.settings import GatewaySettings
from shared.connections import connect_briefly
from shared.jobs import Jobs
from shared.logs import request_logged
from shared.storage import open_storage

_HARDENED = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_STARTS = ("http.response.start", "websocket.http.response.start", "websocket.accept")


def create_live(settings: GatewaySettings, wyoming: socket.socket | None = None) -> Starlette:
    """
    Build gateway.live. Its `state.tail` reads events, `state.live` serves live sessions.

    Args:
        wyoming: A listener for clients of Wyoming, if there are to be any.
    """
    url = settings.redis_url.get_secret_value()
    redis = connect_briefly(url)
    tailed, asked, followed = (connect_tail(url) for _ in range(3))
    storage = open_storage(settings.storage_dir, read_only=True)
    jobs = Jobs(redis, storage, lease_s=settings.lease_s, max_attempts=settings.max_attempts)
    tail = Tail(tailed, max_listeners=settings.live_max_listeners)
    origins = Origins(settings.listed_origins)
    access = Access(settings, host=settings.live_host)
    live = LiveSessions(settings, Clients(redis, asked, followed), access, origins)
    listening = Listening(
        tail,
        StatusReader(redis, jobs),
        access,
        origins,
        keepalive_s=settings.sse_keepalive_s,
        max_per_owner=settings.live_max_per_owner,
    )

    spoken = [route for routes in PROTOCOLS for route in routes(live)]
    app = Starlette(
        routes=[*Routes(listening).all(), *spoken],
        exception_handlers=ERROR_ANSWERS,
        lifespan=partial(_run, (tail, live, wyoming), (redis, tailed, asked, followed)),
    )
    app.state.tail, app.state.live = tail, live
    # Around everything, starlette's own error answers included.
    app.middleware_stack = Answering(app.build_middleware_stack(), origins)
    return app


@asynccontextmanager
async def _run(
    served: tuple[Tail, LiveSessions, socket.socket | None],
    clients: tuple[BlockingRedis, Redis, Redis, Redis],
    _app: Starlette,
) -> AsyncIterator[None]:
    """Read events and updates while the application runs."""
    tail, live, wyoming = served
    tasks = [asyncio.create_task(work.run()) for work in (tail, live.following)]
    async with serving(live, wyoming):
        yield
        tail.stop()
        live.stop()
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    with suppress(RedisError, OSError):
        await live.following.tell_endings()
    blocking, *others = clients
    for client in others:
        await client.aclose()
    blocking.close()


class Answering:
    """
    Adds headers to every answer: the request's id, CORS for listed origins, and hardening.

    Log lines of the request have the same id.
    """

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope)
        request_id = choose_request_id(asked.get(REQUEST_ID))
        added = _HARDENED | dict(self._origins.answer_headers(asked.get("Origin")))
        added[REQUEST_ID] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] in _STARTS:
                headers = MutableHeaders(scope=message)
                headers.update(added)
                if self._origins.vary:
                    headers.add_vary_header("Origin")
            await send(message)

        preflight = self._origins.preflight_headers(scope.get("method", ""), asked)
        app = self._app if preflight is None else Response(status_code=204, headers=preflight)
        with request_logged(request_id):
            await app(scope, receive, send_with_headers)
