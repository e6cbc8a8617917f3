"""
`WS /v1/listen`: the connection of one of Deepgram's live clients.

See developers.deepgram.com, "Live Audio", and the messages in the SDKs' `listen/v1`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.access.callers import protocol_key
from gateway.answering.answers import as_rfc3339
from gateway.dialects import error_in
from gateway.errors import REDIS_AWAY, error_headers, error_value, status_of
from gateway.live.audio.opening import AudioIn, open_audio
from gateway.live.protocols.deepgram.messages import Messages
from gateway.live.protocols.deepgram.query import LiveListenQuery, read_query
from gateway.live.protocols.reading import asked_request, own_error
from gateway.live.sessions.conversation import UNEXPECTED, close, talk
from gateway.live.sessions.opening import LiveSessions
from gateway.live.sessions.session import LiveSession
from shared.errors import LonghandError
from shared.live.updates import LiveUpdate
from shared.logs import bound_request_id

_PATH = "/v1/listen"


class Listen:
    """The protocol of one site."""

    def __init__(self, live: LiveSessions) -> None:
        self._live = live

    async def talk(self, socket: WebSocket) -> None:
        """Serve one client. Whoever is refused gets a HTTP status, which their SDKs expect."""
        offered = socket.headers.get("Sec-WebSocket-Protocol", "")
        key = protocol_key(offered)
        try:
            owner = self._live.admit(socket, key)
            query = read_query(socket.query_params)
            session = await self._open(owner, query)
        except (LonghandError, *REDIS_AWAY) as error:
            await socket.send_denial_response(_refusal(own_error(error)))
            return
        client = Client(socket, session, query)
        try:
            # RFC 6455, 4.1: a browser gives up unless one of its subprotocols is chosen.
            await socket.accept(offered.partition(",")[0].strip() or None if key else None)
        except BaseException:
            self._live.following.leave(session)
            raise
        try:
            await talk(
                self._live.following,
                socket,
                session,
                reading=client.read(),
                writing=client.write(),
            )
        except LonghandError as error:
            await client.tell_error(error.message)
            await close(socket, UNEXPECTED, error.message)

    async def _open(self, owner: str, query: LiveListenQuery) -> LiveSession:
        request = await asked_request(
            self._live,
            query.model,
            language=query.language,
            hotwords=query.hotwords,
            endpoint_s=query.endpoint_s,
        )
        return await self._live.open(owner, request)


class Client:
    """One client whose session is open."""

    def __init__(self, socket: WebSocket, session: LiveSession, query: LiveListenQuery) -> None:
        self._socket, self._session, self._query = socket, session, query
        self._messages = Messages(session.id, session.request.model, is_plain=query.is_plain)
        self._created = as_rfc3339(time.time())
        self._digest = hashlib.sha256()
        self._n_finalized = 0
        self._n_final = 0
        self._interim: tuple[object, ...] = ()
        self._waits_for_end = False

    async def read(self) -> None:
        """Take audio and control messages, until the client has sent all."""
        async with open_audio(self._query.spec, self._session.send) as audio:
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    raise WebSocketDisconnect(message.get("code", 1005))
                data = message.get("bytes")
                if data:
                    self._digest.update(data)
                    await audio.write(data)
                elif data is not None or await self._control(message.get("text") or ""):
                    break
            await self._finish(audio)
        await self._session.end()

    async def write(self) -> None:
        """Send what is heard, and at last what the whole was."""
        await self._send(self._metadata())
        async for update in self._session.updates():
            await self._tell(update)
        await self._send(self._metadata())

    async def tell_error(self, problem: str) -> None:
        """Send an error."""
        value = {"type": "Error", "description": problem, "message": problem, "variant": "ERROR"}
        await self._send(value)

    async def _finish(self, audio: AudioIn) -> None:
        if self._digest.digest() != hashlib.sha256().digest():
            await audio.finish()

    async def _control(self, text: str) -> bool:
        """Do what a message asks; returns whether it is the last one."""
        try:
            sent = json.loads(text)
        except (ValueError, RecursionError):
            sent = None
        kind = str(sent.get("type")) if isinstance(sent, dict) else ""
        asked: dict[str, Callable[[], Awaitable[None]]] = {
            "Finalize": self._finalize,
            "KeepAlive": self._keep_alive,
        }
        if kind == "CloseStream":
            return True
        if kind in asked:
            await asked[kind]()
        else:
            await self.tell_error(
                f"{text[:80]!r} is not known; send audio, KeepAlive, Finalize or CloseStream"
            )
        return False

    async def _finalize(self) -> None:
        await self._session.flush()

    async def _keep_alive(self) -> None:
        self._session.keep_alive()

    async def _tell(self, update: LiveUpdate) -> None:
        """Send what an update brings."""
        text = self._session.text
        for edge in update.edges:
            if edge.is_start and self._query.vad_events:
                await self._send(self._messages.speech_started(edge.at))
        fresh = text.segments[self._n_final :]
        self._n_final = len(text.segments)
        for segment in fresh:
            await self._send(self._messages.final(segment))
        await self._answer_finalize(sum(segment.ending.reason == "flush" for segment in fresh))
        words = text.open_words + text.tail
        if self._query.interim_results and words and words != self._interim:
            await self._send(self._messages.interim(words, text.heard_s))
        self._interim = words
        self._waits_for_end = self._waits_for_end or bool(fresh)
        await self._tell_silence()
        if update.problem:
            await self.tell_error(update.problem)

    async def _answer_finalize(self, n_answered: int) -> None:
        """Answer each `Finalize` that is done now, but for those which a segment has answered."""
        text = self._session.text
        n_done, self._n_finalized = text.flushed - self._n_finalized, text.flushed
        for _ in range(n_done - n_answered):
            await self._send(self._messages.nothing(text.heard_s))

    async def _tell_silence(self) -> None:
        """Send `UtteranceEnd`, once, if it has been silent for as long as the client asked."""
        text, wanted_ms = self._session.text, self._query.utterance_end_ms
        if wanted_ms is None or not self._waits_for_end or text.open_words or text.tail:
            return
        last_end = text.segments[-1].end
        if text.heard_s - last_end >= wanted_ms / 1000:
            self._waits_for_end = False
            await self._send(self._messages.utterance_end(last_end))

    def _metadata(self) -> dict[str, Any]:
        session = self._session
        return self._messages.metadata(self._created, session.received_s, self._digest.hexdigest())

    async def _send(self, value: dict[str, Any]) -> None:
        await self._socket.send_text(json.dumps(value, ensure_ascii=False))


def _refusal(error: LonghandError) -> Response:
    status = status_of(type(error), _PATH)
    value = error_in("deepgram", error_value(error), status, bound_request_id() or "")
    return JSONResponse(value, status, error_headers(error))


def routes(live: LiveSessions) -> list[BaseRoute]:
    """The routes of this protocol."""
    return [WebSocketRoute(_PATH, Listen(live).talk)]
