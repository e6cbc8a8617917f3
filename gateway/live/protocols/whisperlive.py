"""
WhisperLive's protocol: a handshake in JSON, raw samples, and the last segments on every change.

See collabora/WhisperLive, `whisper_live/server.py` and `client.py`.
"""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.errors import REDIS_AWAY
from gateway.live.audio.opening import open_audio
from gateway.live.audio.spec import AudioSpec
from gateway.live.protocols.reading import accept, invalid
from gateway.live.sessions.conversation import POLICY, TRY_AGAIN, close, talk
from gateway.live.sessions.opening import LiveSessions
from gateway.live.sessions.session import Ending, LiveSession, SessionOver
from gateway.live.sessions.text import LiveSegment
from shared.errors import AccessError, Busy, InvalidRequest, LonghandError, TooManyRequests
from shared.live.request import LiveRequest
from shared.live.updates import LiveWord
from shared.request import MAX_PROMPT_CHARACTERS

_HANDSHAKE_S = 10.0
_END = b"END_OF_AUDIO"
_PAUSE_S = 2.0
"""After so long without audio, what has come becomes text."""

_BACKEND = "faster_whisper"
"""The client keeps a transcript only if the backend has this name."""

_ENCODINGS = {"float32": "float32", "int16": "linear16", "uint8": "uint8"}


class Handshake(BaseModel):
    """
    The first message of a client. Older ones send only the first four fields.

    Fields that are not here have no effect: the voice is always looked for, and text that does not
    change is not sent again. `enable_translation` and `enable_diarization` have none either, and
    the client is warned of it.
    """

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    uid: str = Field(max_length=200)
    language: str | None = None
    task: Literal["transcribe", "translate"] = "transcribe"
    model: str | None = Field(None, max_length=200)
    initial_prompt: str | None = Field(None, max_length=MAX_PROMPT_CHARACTERS)
    hotwords: str | None = Field(None, max_length=MAX_PROMPT_CHARACTERS)
    send_last_n_segments: int = Field(10, ge=1, le=1000)
    word_timestamps: bool = False
    audio_format: Literal["float32", "int16", "uint8"] = "float32"
    enable_translation: bool | None = None
    enable_diarization: bool | None = None

    @property
    def warnings(self) -> list[str]:
        """What the client asks for in vain."""
        found = [
            ("enable_translation has no effect; ask for the task translate",
             self.enable_translation),
            ("enable_diarization has no effect; speakers are told apart in recordings only",
             self.enable_diarization),
        ]  # fmt: skip
        return [text for text, is_asked in found if is_asked]


class WhisperLive:
    """The protocol of one site."""

    def __init__(self, live: LiveSessions) -> None:
        self._live = live

    async def talk(self, socket: WebSocket) -> None:
        """Serve one client."""
        key = await accept(socket)
        uid = ""
        try:
            owner = self._live.admit(socket, key)
            asked = await _read_handshake(
                socket, min(_HANDSHAKE_S, self._live.settings.live_idle_s)
            )
            uid = asked.uid
            session = await self._open(owner, asked, socket.query_params.get("session"))
        except (Busy, TooManyRequests) as error:
            minutes = math.ceil((error.retry_after_s or 60) / 60)
            await _refuse(socket, {"uid": uid, "status": "WAIT", "message": minutes}, TRY_AGAIN)
        except REDIS_AWAY:
            await _refuse(socket, {"uid": uid, "status": "WAIT", "message": 1}, TRY_AGAIN)
        except LonghandError as error:
            answer = {"uid": uid, "status": "ERROR", "message": error.message}
            await _refuse(socket, answer, 4401 if isinstance(error, AccessError) else POLICY)
        except WebSocketDisconnect:
            return
        else:
            client = Client(socket, session, asked)
            await talk(
                self._live.following,
                socket,
                session,
                reading=client.read(),
                writing=client.write(),
            )

    async def _open(self, owner: str, asked: Handshake, named: str | None) -> LiveSession:
        request = LiveRequest(
            model=await self._live.model(asked.model),
            language=asked.language,
            task=asked.task,
            prompt=asked.initial_prompt,
            hotwords=asked.hotwords,
            chinese=self._live.settings.default_chinese,
        )
        return await self._live.open(owner, request, named)


class Client:
    """One client whose session is open."""

    def __init__(self, socket: WebSocket, session: LiveSession, asked: Handshake) -> None:
        self._socket, self._session, self._asked = socket, session, asked
        self._audio = open_audio(AudioSpec(_ENCODINGS[asked.audio_format]), session.send)
        self._shown: list[dict[str, Any]] = []
        self._patience_s: float | None = None

    async def read(self) -> None:
        """Take audio until the client has sent all of it."""
        while True:
            try:
                message = await asyncio.wait_for(self._socket.receive(), self._patience_s)
            except TimeoutError:
                # Some clients send no more audio, and wait until all of it is text.
                self._patience_s = None
                await self._session.flush()
                continue
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            data = message.get("bytes")
            if data is None:
                continue  # no text is expected after the handshake
            if data == _END:
                await self._session.end()
                return
            self._patience_s = _PAUSE_S
            await self._audio.write(data)

    async def write(self) -> None:
        """Send what is heard."""
        await self._send({"message": "SERVER_READY", "backend": _BACKEND})
        for warning in self._asked.warnings:
            await self._send({"status": "WARNING", "message": warning})
        try:
            async for update in self._session.updates():
                if update.language and self._asked.language is None:
                    probability = update.language_probability
                    await self._send({"language": update.language, "language_prob": probability})
                await self._show()
                if update.problem:
                    await self._send({"status": "ERROR", "message": update.problem})
        except SessionOver as over:
            if over.ending is Ending.TOO_LONG:
                await self._send({"message": "DISCONNECT"})
            raise

    async def _show(self) -> None:
        """Send the last segments, if they have changed."""
        text, n_last = self._session.text, self._asked.send_last_n_segments
        shown = [self._ended(segment) for segment in text.segments[-n_last:]]
        if open_words := text.open_words + text.tail:
            shown.append(self._segment(open_words, completed=False))
        shown = shown[-n_last:]
        if shown != self._shown:
            self._shown = shown
            await self._send({"segments": shown})

    def _ended(self, segment: LiveSegment) -> dict[str, Any]:
        return self._segment(segment.words, completed=True)

    def _segment(self, words: tuple[LiveWord, ...], *, completed: bool) -> dict[str, Any]:
        segment: dict[str, Any] = {
            "start": f"{words[0].start:.3f}",
            "end": f"{words[-1].end:.3f}",
            "text": "".join(word.text for word in words),
            "completed": completed,
        }
        if self._asked.word_timestamps:
            segment["words"] = [
                {
                    "word": word.text,
                    "start": f"{word.start:.3f}",
                    "end": f"{word.end:.3f}",
                    "probability": word.probability,
                }
                for word in words
            ]
        return segment

    async def _send(self, value: dict[str, Any]) -> None:
        await self._socket.send_text(json.dumps({"uid": self._asked.uid} | value))


async def _read_handshake(socket: WebSocket, within_s: float) -> Handshake:
    """
    The first message.

    Raises:
        InvalidRequest: It is no handshake, or none comes in time.
        WebSocketDisconnect: The client is gone.
    """
    try:
        first = await asyncio.wait_for(socket.receive(), within_s)
    except TimeoutError:
        raise InvalidRequest("no handshake came; the first message says what is wanted") from None
    if first["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(first.get("code", 1005))
    try:
        asked = Handshake.model_validate_json(first.get("text") or first.get("bytes") or b"")
        LiveRequest(model="-", language=asked.language)
    except ValidationError as error:
        raise invalid(error) from error
    return asked


async def _refuse(socket: WebSocket, answer: dict[str, Any], code: int) -> None:
    await socket.send_text(json.dumps(answer))
    await close(socket, code)


def routes(live: LiveSessions) -> list[BaseRoute]:
    """The routes of this protocol."""
    return [WebSocketRoute("/", WhisperLive(live).talk)]
