"""
`WS /v1/realtime`: the connection of one client of OpenAI's Realtime transcription.

See platform.openai.com, "Realtime transcription", and `openai/types/realtime` of OpenAI's SDKs.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Iterable
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.access.callers import protocol_key
from gateway.errors import REDIS_AWAY, error_headers, openai_error_value, status_of
from gateway.live.protocols.reading import asked_request, own_error
from gateway.live.protocols.realtime.configuration import Configuration, read_query
from gateway.live.protocols.realtime.conversation import Conversation
from gateway.live.protocols.realtime.events import Event, error, event, new_id
from gateway.live.protocols.realtime.sent import read_session, warnings_of
from gateway.live.sessions.conversation import (
    CLOSE_CODES,
    POLICY,
    TRY_AGAIN,
    UNEXPECTED,
    close,
    talk,
)
from gateway.live.sessions.opening import LiveSessions
from gateway.live.sessions.session import Ending
from shared.errors import Busy, InvalidRequest, LonghandError, TooManyRequests
from shared.live.request import LiveRequest

_PATH = "/v1/realtime"
_SUBPROTOCOL, _BETA = "realtime", "openai-beta.realtime-v1"
_UPDATES = ("session.update", "transcription_session.update")


class Realtime:
    """The protocol of one site."""

    def __init__(self, live: LiveSessions) -> None:
        self._live = live

    async def talk(self, socket: WebSocket) -> None:
        """Serve one client. Whoever is refused gets a HTTP status."""
        offered = [str(name) for name in socket.scope["subprotocols"]]
        key = protocol_key(socket.headers.get("Sec-WebSocket-Protocol", ""))
        try:
            owner = self._live.admit(socket, key)
            asked = read_query(socket.query_params)
            model = await self._live.model(asked.model, strict=True)
        except (LonghandError, *REDIS_AWAY) as problem:
            await socket.send_denial_response(_refusal(own_error(problem)))
            return
        # RFC 6455, 4.1: a browser gives up unless one of its subprotocols is chosen.
        first = offered[0] if offered else None
        await socket.accept(_SUBPROTOCOL if _SUBPROTOCOL in offered else first)
        is_beta = "realtime=v1" in socket.headers.get("OpenAI-Beta", "") or _BETA in offered
        await Client(self._live, socket, owner, asked, model, is_beta=is_beta).serve()


class Client:
    """One client. Its session opens with the first audio, when it has said what it wants."""

    def __init__(
        self, live: LiveSessions, socket: WebSocket, owner: str, asked: Configuration, model: str,
        *, is_beta: bool,
    ) -> None:  # fmt: skip
        self._live, self._socket, self._owner = live, socket, owner
        self._asked, self._model, self._is_beta = asked, model, is_beta
        self._id = new_id("sess")
        self._conversation: Conversation | None = None

    async def serve(self) -> None:
        """Serve the client until one of both leaves."""
        try:
            await self._send([self._session_event("created", is_beta=self._is_beta)])
            idle_s = self._live.settings.live_idle_s
            try:
                async with asyncio.timeout(idle_s):
                    first = await self.next_audio()
            except TimeoutError:
                await self._send([error(Ending.IDLE.value, "session_idle")])
                await close(self._socket, CLOSE_CODES[Ending.IDLE], Ending.IDLE.value)
                return
            await self._converse(first)
        except WebSocketDisconnect:
            return
        except (LonghandError, *REDIS_AWAY) as problem:
            refused = own_error(problem)
            await self._send([_told(refused, None)])
            is_busy = isinstance(refused, Busy | TooManyRequests)
            code = TRY_AGAIN if is_busy else POLICY if self._conversation is None else UNEXPECTED
            await close(self._socket, code, refused.message)

    async def next_audio(self) -> bytes:
        """
        The next audio. What else the client asks for meanwhile is done.

        Raises:
            WebSocketDisconnect: The client has left.
        """
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            sent = _read(message.get("text"))
            cause = sent.get("event_id")
            cause = cause[:100] if isinstance(cause, str) else None
            try:
                if audio := await self._act(sent):
                    return audio
            except LonghandError as refused:
                if isinstance(refused, InvalidRequest) or refused.param:
                    await self._send([_told(refused, cause)])
                else:
                    raise

    async def _converse(self, first: bytes) -> None:
        """Open the session, and talk until it is over."""
        request = await self._request(self._asked)
        session = await self._live.open(self._owner, request)
        self._conversation = conversation = Conversation(
            session, self._asked, self._send, is_beta=self._is_beta
        )
        await talk(
            self._live.following,
            self._socket,
            session,
            reading=conversation.read(first, self.next_audio),
            writing=conversation.write(),
        )

    async def _request(self, asked: Configuration) -> LiveRequest:
        """
        What is asked of the session.

        Raises:
            InvalidRequest, ModelNotFound: A value is not possible.
        """
        return await asked_request(
            self._live,
            asked.model,
            strict=True,
            language=asked.language,
            prompt=asked.prompt,
            hotwords=" ".join(asked.keywords) or None,
            endpoint_s=asked.endpoint_s,
            delay=asked.delay,
        )

    async def _act(self, sent: dict[str, Any]) -> bytes | None:
        """Do what an event asks; returns the audio of an `append`."""
        kind, talking = sent.get("type"), self._conversation
        if kind == "input_audio_buffer.append":
            return _audio_of(sent)
        if kind in _UPDATES:
            await self._update(sent.get("session"), is_beta=kind != _UPDATES[0] or self._is_beta)
        elif kind == "input_audio_buffer.commit":
            if talking is None:
                raise InvalidRequest("there is no audio to commit", param="input_audio_buffer")
            await talking.commit()
        elif kind == "input_audio_buffer.clear":
            cleared = [event("input_audio_buffer.cleared")]
            await (self._send(cleared) if talking is None else talking.clear())
        else:
            raise InvalidRequest(
                f"the type {str(kind)[:80]!r} is not known; send {', '.join(_UPDATES)}, or "
                "input_audio_buffer.append, .commit or .clear",
                param="type",
            )
        return None

    async def _update(self, session: object, *, is_beta: bool) -> None:
        """Change what the session is to be; once there was audio, it stays as it is."""
        # Clients of the beta may send either form, and so may those who name no version.
        is_beta = is_beta and not (isinstance(session, dict) and "audio" in session)
        sent = read_session(session, is_beta=is_beta)
        asked = self._asked.updated(sent)
        if self._conversation is not None and asked != self._asked:
            raise InvalidRequest(
                "the session cannot be changed after its first audio; open another one",
                param="session",
            )
        try:
            self._model = (await self._request(asked)).model
        except LonghandError as refused:
            where = "session.input_audio_transcription" if is_beta else (
                "session.audio.input.transcription"
            )  # fmt: skip
            if refused.param is None:
                raise
            raise InvalidRequest(refused.message, param=f"{where}.{refused.param}") from refused
        self._asked = asked
        told = self._session_event("updated", is_beta=is_beta)
        # OpenAI has no event for a warning, and its SDKs keep fields that they do not know.
        warnings = warnings_of(sent, is_beta=is_beta)
        await self._send([told | ({"warnings": warnings} if warnings else {})])

    def _session_event(self, what: str, *, is_beta: bool) -> Event:
        kind = "transcription_session" if is_beta else "session"
        shown = self._asked.shown(self._id, self._model, is_beta=is_beta)
        return event(f"{kind}.{what}", session=shown)

    async def _send(self, events: Iterable[Event]) -> None:
        for each in events:
            # As ASCII: a client's id may hold half a pair of UTF-16, which UTF-8 cannot express.
            await self._socket.send_text(json.dumps(each))


def _read(text: str | None) -> dict[str, Any]:
    """A client's event; one that cannot be read has no `type`."""
    try:
        sent = json.loads(text or "")
    except (ValueError, RecursionError):
        return {}
    return sent if isinstance(sent, dict) else {}


def _audio_of(sent: dict[str, Any]) -> bytes:
    try:
        return base64.b64decode(sent["audio"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as problem:
        raise InvalidRequest("audio must be base64", param="audio") from problem


def _told(refused: LonghandError, cause: str | None) -> Event:
    told = openai_error_value(refused)["error"]
    code = (
        "input_audio_buffer_commit_empty" if refused.param == "input_audio_buffer" else told["code"]
    )
    return error(told["message"], code, param=told["param"], cause=cause, kind=told["type"])


def _refusal(refused: LonghandError) -> Response:
    status = status_of(type(refused), _PATH)
    return JSONResponse(openai_error_value(refused), status, error_headers(refused))


def routes(live: LiveSessions) -> list[BaseRoute]:
    """The routes of this protocol."""
    return [WebSocketRoute(_PATH, Realtime(live).talk)]
