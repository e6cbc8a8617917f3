"""
faster-whisper-server's WebSocket: raw samples in, the whole text so far out on every new word.

See fedirz/faster-whisper-server 0.x, `main.py`, `transcribe_stream`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.errors import REDIS_AWAY
from gateway.live.protocols.reading import invalid
from gateway.live.sessions.conversation import POLICY, TRY_AGAIN, close, talk
from gateway.live.sessions.opening import LiveSessions
from gateway.live.sessions.session import LiveSession
from shared.errors import AccessError, Busy, LonghandError, TooManyRequests
from shared.live.request import LiveRequest
from shared.live.updates import LiveWord

_NO_DATA_S = 2.5
"""Clients end by sending nothing more; after this time the rest is told, and the socket closed."""

_ONLY_BINARY = "only samples are taken here, in binary frames: s16le, 16 kHz, mono"


class Asked(BaseModel):
    """
    The query. Others of its parameters have no effect: `temperature` and `vad_filter` among them,
    since live decoding takes the likeliest words, and the voice is always looked for.
    """

    model_config = ConfigDict(extra="ignore")

    model: str | None = Field(None, max_length=200)
    language: str | None = None
    response_format: Literal["text", "json", "verbose_json"] = "json"


class RawSamples:
    """The protocol of one site."""

    def __init__(self, live: LiveSessions) -> None:
        self._live = live

    async def talk(self, socket: WebSocket) -> None:
        """Serve one client."""
        await socket.accept()
        try:
            owner = self._live.admit(socket)
            asked, request = await self._read(socket)
            session = await self._live.open(owner, request)
        except (Busy, TooManyRequests) as error:
            await _refuse(socket, error.message, TRY_AGAIN)
        except REDIS_AWAY:
            await _refuse(socket, "live sessions cannot be opened now; try again", TRY_AGAIN)
        except LonghandError as error:
            code = 4401 if isinstance(error, AccessError) else POLICY
            await _refuse(socket, error.message, code)
        else:
            client = Client(socket, session, asked.response_format)
            await talk(
                self._live.following,
                socket,
                session,
                reading=client.read(),
                writing=client.write(),
            )

    async def _read(self, socket: WebSocket) -> tuple[Asked, LiveRequest]:
        try:
            asked = Asked.model_validate(dict(socket.query_params))
            return asked, LiveRequest(
                model=await self._live.model(asked.model),
                language=asked.language or None,
                chinese=self._live.settings.default_chinese,
            )
        except ValidationError as error:
            raise invalid(error) from error


class Client:
    """One client whose session is open."""

    def __init__(self, socket: WebSocket, session: LiveSession, response_format: str) -> None:
        self._socket, self._session, self._format = socket, session, response_format
        self._words: list[LiveWord] = []
        self._said = ""

    async def read(self) -> None:
        """Take samples until none come for a while."""
        patience_s: float | None = None  # the service ends a session whose audio never begins
        while True:
            try:
                message = await asyncio.wait_for(self._socket.receive(), patience_s)
            except TimeoutError:
                await self._session.end()
                return
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            if (data := message.get("bytes")) is None:
                await _refuse(self._socket, _ONLY_BINARY, POLICY)
                raise WebSocketDisconnect(POLICY)
            await self._session.send(data)
            patience_s = _NO_DATA_S

    async def write(self) -> None:
        """Send the text so far, whenever there are new words."""
        async for update in self._session.updates():
            if update.problem:
                await self._socket.send_json({"error": update.problem})
            if update.committed:
                self._said += "".join(word.text for word in update.committed)
                if self._format == "verbose_json":
                    self._words += update.committed
                await self._show()

    async def _show(self) -> None:
        text = self._said.strip()
        if self._format == "text":
            await self._socket.send_text(text)
        elif self._format == "json":
            await self._socket.send_json({"text": text})
        else:
            await self._socket.send_json(self._described(text))

    def _described(self, text: str) -> dict[str, Any]:
        heard = self._session.text
        return {
            "task": self._session.request.task,
            "language": heard.language,
            "duration": round(heard.heard_s, 3),
            "text": text,
            "words": [
                {"word": w.text, "start": w.start, "end": w.end, "probability": w.probability}
                for w in self._words
            ],
            "segments": [
                {"id": s.number, "start": s.start, "end": s.end, "text": s.text}
                for s in heard.segments
            ],
        }


async def _refuse(socket: WebSocket, problem: str, code: int) -> None:
    await socket.send_json({"error": problem})
    await close(socket, code)


def routes(live: LiveSessions) -> list[BaseRoute]:
    """The routes of this protocol."""
    return [WebSocketRoute("/v1/audio/transcriptions", RawSamples(live).talk)]
