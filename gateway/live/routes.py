"""Routes of gateway.live: `/jobs/{id}/events`, `/events` and `/ws/jobs/{id}`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.answering.shapes.health import Live
from gateway.errors import ErrorAnswer
from gateway.live.errors import error_answer
from gateway.live.events import Event, as_frame, as_sse
from gateway.live.listening import Listening, Subscription
from gateway.live.status import NothingLeft
from gateway.live.tail import Signal

_RETRY_MS = 2000
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    # Tells nginx to pass on each event as it comes.
    "X-Accel-Buffering": "no",
}
# RFC 6455, 7.4.1, and IANA's registry for 1013.
_DONE, _GOING_AWAY, _TRY_AGAIN = 1000, 1001, 1013
_CLOSE_CODES = {Signal.STOPPED: _GOING_AWAY, Signal.SLOW: _TRY_AGAIN, Signal.LOST: _TRY_AGAIN}


class Routes:
    """The routes of this program."""

    def __init__(self, listening: Listening) -> None:
        self._listening = listening

    def all(self) -> list[BaseRoute]:
        """Every route, for starlette."""
        return [
            Route("/jobs/{job_id}/events", self.stream),
            Route("/events", self.stream),
            WebSocketRoute("/ws/jobs/{job_id}", self.talk),
            Route("/ws/jobs/{job_id}", _ask_for_upgrade),
            Route("/health/live", _show_live),
            Route("/health/ready", self.show_ready),
        ]

    async def stream(self, request: Request) -> Response:
        """Stream events of one job, or of all the caller's jobs (WHATWG HTML, 9.2)."""
        try:
            subscription = await self._listening.begin(request, request.path_params.get("job_id"))
        except NothingLeft:
            return Response(status_code=204)  # it tells a browser not to connect again
        if request.method == "HEAD":
            subscription.close()
            return Response(headers=_HEADERS)
        return EventStream(subscription)

    async def talk(self, socket: WebSocket) -> None:
        """Send the events of one job as frames of JSON text."""
        try:
            subscription = await self._listening.begin(socket, socket.path_params["job_id"])
        except NothingLeft:
            await socket.accept()
            await socket.close(_DONE)
        except Exception as error:
            await socket.send_denial_response(error_answer(error))
        else:
            await subscription.serve(_send_all(socket, subscription))

    async def show_ready(self, _request: Request) -> Response:
        """200 if events are read; else 503."""
        if self._listening.tail.is_up:
            return JSONResponse({"success": True, "status": "ready", "message": "OK"})
        problem = "Redis cannot be reached; see LONGHAND_REDIS_URL"
        value = ErrorAnswer(success=False, error=problem, code="not_ready").value()
        return JSONResponse(value, 503)


class EventStream(StreamingResponse):
    """A `text/event-stream` of events."""

    def __init__(self, subscription: Subscription) -> None:
        super().__init__(_written(subscription), headers=_HEADERS)
        self._subscription = subscription

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._subscription.serve(super().__call__(scope, receive, send))


async def _written(subscription: Subscription) -> AsyncIterator[str]:
    # Sent before any event: it shows the caller that they are connected.
    yield f"retry: {_RETRY_MS}\n\n"
    async for item in subscription.events():
        if isinstance(item, Event):
            yield as_sse(item)
        elif item is None:
            yield ": still here\n\n"


async def _send_all(socket: WebSocket, subscription: Subscription) -> None:
    await socket.accept()
    leaving = asyncio.create_task(_until_gone(socket))
    sending = asyncio.create_task(_send(socket, subscription))
    try:
        await asyncio.wait((leaving, sending), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (leaving, sending):
            task.cancel()
        await asyncio.gather(leaving, sending, return_exceptions=True)


async def _send(socket: WebSocket, subscription: Subscription) -> None:
    code = _DONE
    with suppress(WebSocketDisconnect):
        async for item in subscription.events():
            if isinstance(item, Event):
                await socket.send_text(as_frame(item))
            elif isinstance(item, Signal):
                code = _CLOSE_CODES[item]
        await socket.close(code)


async def _until_gone(socket: WebSocket) -> None:
    """Read and ignore what a caller sends: only reading notices a disconnect."""
    with suppress(WebSocketDisconnect):
        while True:
            await socket.receive()
            if socket.client_state.name == "DISCONNECTED":
                return


async def _ask_for_upgrade(_request: Request) -> Response:
    refused = ErrorAnswer(success=False, error="this is a WebSocket", code="upgrade_required")
    return JSONResponse(refused.value(), 426, {"Upgrade": "websocket", "Connection": "Upgrade"})


async def _show_live(_request: Request) -> Response:
    """Answer 200: the process runs. Nothing else is checked."""
    return JSONResponse(Live(success=True, status="live", message="OK").value())
