"""A caller's WebSocket and their session: what comes is sent on, what is heard is sent back."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from gateway.live.sessions.following import Following
from gateway.live.sessions.session import Ending, LiveSession, SessionOver

# RFC 6455, 7.4.1, and IANA's registry for 1012 and 1013.
DONE, POLICY, UNEXPECTED, RESTARTS, TRY_AGAIN = 1000, 1008, 1011, 1012, 1013
CLOSE_CODES = {
    Ending.IDLE: UNEXPECTED,
    Ending.TOO_LONG: POLICY,
    Ending.NO_WORKER: TRY_AGAIN,
    Ending.NO_REDIS: TRY_AGAIN,
    Ending.LOST: TRY_AGAIN,
    Ending.SLOW: TRY_AGAIN,
    Ending.TAKEN_OVER: POLICY,
    Ending.STOPPED: RESTARTS,
}

_SLOW_GRACE_S = 5.0
_CLOSE_S = 1.0


async def talk(
    following: Following,
    socket: WebSocket,
    session: LiveSession,
    *,
    reading: Coroutine[Any, Any, None],
    writing: Coroutine[Any, Any, None],
) -> None:
    """
    Run both directions of a conversation until it is over, and leave the session.

    Args:
        reading: Takes what the caller sends, until they have sent all or disconnect.
        writing: Sends what was heard, until the last update; then the socket is closed with 1000,
            unless `writing` has closed it. Both may raise `SessionOver`: see `CLOSE_CODES`.
    """
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(reading),
        asyncio.create_task(writing),
    ]
    slow = asyncio.create_task(session.is_slow.wait())
    code, reason = DONE, ""
    try:
        await _until_over(tasks[0], tasks[1], slow)
        if session.is_slow.is_set() and not tasks[1].done():
            code, reason = CLOSE_CODES[Ending.SLOW], Ending.SLOW.value
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()):
                raise error
    except SessionOver as over:
        code, reason = CLOSE_CODES[over.ending], over.ending.value
    except WebSocketDisconnect:
        return
    finally:
        following.leave(session)  # first: what follows may be cancelled
        for task in (*tasks, slow):
            task.cancel()
        await asyncio.gather(*tasks, slow, return_exceptions=True)
    await close(socket, code, reason)


async def _until_over(
    reading: asyncio.Task[Any], writing: asyncio.Task[Any], slow: asyncio.Task[Any]
) -> None:
    """Wait until the writing has ended, the reading has failed, or the caller reads too slowly."""
    await asyncio.wait((reading, writing, slow), return_when=asyncio.FIRST_COMPLETED)
    has_sent_all = reading.done() and not reading.cancelled() and reading.exception() is None
    if has_sent_all and not writing.done() and not slow.done():
        await asyncio.wait((writing, slow), return_when=asyncio.FIRST_COMPLETED)
    if slow.done() and not writing.done():
        await asyncio.wait((writing,), timeout=_SLOW_GRACE_S)


async def close(socket: WebSocket, code: int, reason: str = "") -> None:
    """Close a WebSocket, if it is not closed yet; whoever does not read is not waited for."""
    if socket.application_state is WebSocketState.DISCONNECTED:
        return
    with suppress(WebSocketDisconnect, RuntimeError, TimeoutError):
        await asyncio.wait_for(socket.close(code, reason[:120]), _CLOSE_S)
