"""
WhisperLiveKit's `/asr`: what a client asks in the query, their audio, and what they are sent.

See QuentinFuxa/WhisperLiveKit, `docs/API.md`.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.errors import REDIS_AWAY
from gateway.live.audio.opening import open_audio
from gateway.live.audio.spec import AudioSpec
from gateway.live.protocols.asr.state import State
from gateway.live.protocols.reading import accept, invalid
from gateway.live.sessions.conversation import TRY_AGAIN, close, talk
from gateway.live.sessions.opening import LiveSessions
from gateway.live.sessions.session import LiveSession
from shared.errors import AccessError, Busy, InvalidRequest, LonghandError, TooManyRequests
from shared.live.request import LiveRequest

_BAD_REQUEST, _NO_ACCESS, _BAD_AUDIO = 4400, 4401, 1003
_REDIS_AWAY = "Redis is away; try again"


class Query(BaseModel):
    """
    The query of a connection. Other parameters have no effect.

    Attributes:
        pcm_input: Whether the audio is raw: 16-bit little-endian samples, mono, 16 kHz; else it
            is a container. None: as the site has it.
        session: The client's own name for the session, which goes on if it is there already.
    """

    model_config = ConfigDict(extra="ignore")

    language: str | None = None
    mode: Literal["full", "diff"] = "full"
    pcm_input: bool | None = None
    session: str | None = None


class Asr:
    """The protocol of one site."""

    def __init__(self, live: LiveSessions) -> None:
        self._live = live

    async def talk(self, socket: WebSocket) -> None:
        """Serve one client."""
        key = await accept(socket)
        try:
            await self._serve(socket, key)
        except (Busy, TooManyRequests) as error:
            await _refuse(socket, error.message, TRY_AGAIN)
        except REDIS_AWAY:
            await _refuse(socket, _REDIS_AWAY, TRY_AGAIN)
        except LonghandError as error:
            code = _NO_ACCESS if isinstance(error, AccessError) else _BAD_REQUEST
            await _refuse(socket, error.message, code)
        except WebSocketDisconnect:
            return

    async def _serve(self, socket: WebSocket, key: str | None) -> None:
        owner = self._live.admit(socket, key)
        asked, request = await self._read(socket)
        is_pcm = self._live.settings.asr_pcm_input if asked.pcm_input is None else asked.pcm_input
        config = {"type": "config", "useAudioWorklet": is_pcm, "mode": asked.mode}
        await socket.send_text(json.dumps(config))
        session = await self._live.open(owner, request, asked.session)
        client = Client(socket, session, is_diff=asked.mode == "diff")
        try:
            await talk(
                self._live.following,
                socket,
                session,
                reading=client.read(AudioSpec("linear16" if is_pcm else None)),
                writing=client.write(),
            )
        except REDIS_AWAY:
            await client.fail(_REDIS_AWAY, TRY_AGAIN)
        except LonghandError as error:
            await client.fail(error.message, _BAD_AUDIO)
            await session.end()  # nobody takes it up again: a worker's place becomes free

    async def _read(self, socket: WebSocket) -> tuple[Query, LiveRequest]:
        """
        What a client asks for.

        Raises:
            InvalidRequest: Something in the query is not possible.
        """
        if socket.query_params.get("target_language"):
            raise InvalidRequest(
                "target_language: live speech is not translated; leave it out",
                param="target_language",
            )
        try:
            asked = Query.model_validate(dict(socket.query_params))
            request = LiveRequest(
                model=await self._live.model(None),
                language=asked.language,
                chinese=self._live.settings.default_chinese,
            )
        except ValidationError as error:
            raise invalid(error) from error
        return asked, request


class Client:
    """One client whose session is open."""

    def __init__(self, socket: WebSocket, session: LiveSession, *, is_diff: bool) -> None:
        self._socket, self._session, self._is_diff = socket, session, is_diff
        self._shown: State | None = None
        self._n_sent = 0

    async def read(self, spec: AudioSpec) -> None:
        """Take audio until the client sends an empty frame."""
        is_empty = True
        async with open_audio(spec, self._session.send) as audio:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    raise WebSocketDisconnect(message.get("code", 1005))
                data = message.get("bytes")
                if data is None:
                    continue  # text means nothing here
                if not data:
                    break
                is_empty = False
                await audio.write(data)
            if not is_empty:
                await audio.finish()
        await self._session.end()

    async def write(self) -> None:
        """Send each change of the text, and at the end that there is no more."""
        async for update in self._session.updates():
            state = self._next()
            if update.problem:
                state = state.failed(update.problem)
            if update.is_last or state != self._shown:
                await self._show(state)
        await self._send({"type": "ready_to_stop"})

    async def fail(self, problem: str, code: int) -> None:
        """Send an error, with the text so far, and close."""
        await self._show(self._next().failed(problem))
        await close(self._socket, code, problem)

    def _next(self) -> State:
        return (self._shown or State()).follow(self._session.text, self._session.received_s)

    async def _show(self, state: State) -> None:
        before, self._shown = self._shown, state
        self._n_sent += 1
        await self._send(state.message(before, self._n_sent) if self._is_diff else state.full())

    async def _send(self, value: dict[str, Any]) -> None:
        await self._socket.send_text(json.dumps(value, ensure_ascii=False))


async def _refuse(socket: WebSocket, problem: str, code: int) -> None:
    await socket.send_text(json.dumps({"type": "error", "error": problem}))
    await close(socket, code, problem)


def routes(live: LiveSessions) -> list[BaseRoute]:
    """The routes of this protocol."""
    return [WebSocketRoute("/asr", Asr(live).talk)]
