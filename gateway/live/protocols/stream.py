"""
`POST /transcribe/stream`: an endless WAV, another container or raw samples in the body, and lines
of text in the answer while the body still comes.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.errors import error_value
from gateway.live.audio.kinds import SNIFFED_BYTES, container_kind
from gateway.live.audio.opening import open_audio
from gateway.live.audio.spec import RATE_HZ, AudioSpec
from gateway.live.errors import error_answer
from gateway.live.protocols.reading import invalid
from gateway.live.sessions.opening import LiveSessions
from gateway.live.sessions.session import Ending, LiveSession, SessionOver
from gateway.live.sessions.text import LiveSegment
from shared.errors import (
    AudioTooLarge,
    AudioUnreadable,
    Busy,
    EngineFailed,
    LonghandError,
    UnsupportedMedia,
)
from shared.live.request import Delay, LiveRequest
from shared.live.updates import LiveUpdate
from shared.request import MAX_PROMPT_CHARACTERS

_HEADERS_AFTER_S = 5.0
"""An error before this, and before the first line, has its own status."""

_SLOW_S = 30.0
"""A caller who has read nothing for so long is dropped."""

_RETRY_S = 10
_log = logging.getLogger(__name__)

_NOT_AUDIO = ("multipart/form-data", "application/json")


class Asked(BaseModel):
    """The query."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, max_length=200)
    language: str | None = None
    task: Literal["transcribe", "translate"] = "transcribe"
    prompt: str | None = Field(None, max_length=MAX_PROMPT_CHARACTERS)
    delay: Delay = "normal"
    encoding: str | None = None
    sample_rate: int = RATE_HZ
    channels: int = 1
    token: str | None = None


class StreamedBodies:
    """The protocol of one site."""

    def __init__(self, live: LiveSessions) -> None:
        self._live = live

    async def take(self, request: Request) -> Response:
        """Open a session for a body; the answer feeds it."""
        owner = self._live.admit(request)
        self._check_headers(request)
        asked, wanted = await self._read(request)
        spec = AudioSpec(asked.encoding, asked.sample_rate, asked.channels)
        spec.check()
        body = request.stream()
        first = await _first_bytes(body, self._live.settings.live_idle_s)
        if spec.encoding is None:
            container_kind(first[:SNIFFED_BYTES])
        session = await self._live.open(owner, wanted)
        is_plain = "text/plain" in request.headers.get("Accept", "")
        return Lines(self._live, session, Feeding(session, spec, first, body), is_plain=is_plain)

    def _check_headers(self, request: Request) -> None:
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind in _NOT_AUDIO:
            raise UnsupportedMedia(
                f"Content-Type is {kind}; send the audio itself as the body, such as audio/wav"
            )
        n_bytes, most = request.headers.get("Content-Length"), self._live.settings.max_audio_bytes
        if n_bytes and int(n_bytes) > most:
            raise AudioTooLarge(
                f"the body has {n_bytes} bytes; the limit is {most} (LONGHAND_MAX_AUDIO_BYTES)"
            )

    async def _read(self, request: Request) -> tuple[Asked, LiveRequest]:
        try:
            asked = Asked.model_validate(dict(request.query_params))
            return asked, LiveRequest(
                model=await self._live.model(asked.model, strict=True),
                language=asked.language or None,
                task=asked.task,
                prompt=asked.prompt,
                delay=asked.delay,
                chinese=self._live.settings.default_chinese,
            )
        except ValidationError as error:
            raise invalid(error) from error


class Feeding:
    """
    The body of one request, on its way into its session.

    Args:
        first: What was read of it already.
        body: The rest.
    """

    def __init__(
        self, session: LiveSession, spec: AudioSpec, first: bytes, body: AsyncIterator[bytes]
    ) -> None:
        self._session, self._spec, self._first, self._body = session, spec, first, body

    async def run(self) -> None:
        """
        Feed the session until the body ends.

        Raises:
            AudioUnreadable: It cannot be decoded.
            ClientDisconnect: The caller is gone.
        """
        async with open_audio(self._spec, self._session.send) as audio:
            await audio.write(self._first)
            async for data in self._body:
                await audio.write(data)
            await audio.finish()
        await self._session.end()


class Lines(Response):
    """The answer to one body. It begins with the first line: errors before have their status."""

    def __init__(
        self, live: LiveSessions, session: LiveSession, feeding: Feeding, *, is_plain: bool
    ) -> None:
        self._live, self._session, self._feeding = live, session, feeding
        self._is_plain = is_plain
        kind = "text/plain; charset=utf-8" if is_plain else "application/x-ndjson"
        # X-Accel-Buffering tells nginx to pass on each line as it comes.
        headers = {"Content-Type": kind, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(headers=headers)
        del self.raw_headers[[name for name, _ in self.raw_headers].index(b"content-length")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        feeding = asyncio.create_task(self._feeding.run())
        lines = self._lines(feeding)
        first = asyncio.ensure_future(anext(lines, None))
        try:
            await asyncio.wait({first}, timeout=_HEADERS_AFTER_S)
            error = first.exception() if first.done() else None
            if error is None:
                await self._answer(first, lines, send)
            elif isinstance(error, LonghandError):
                await error_answer(error)(scope, receive, send)
            else:
                raise error
        except (ClientDisconnect, TimeoutError, OSError) as gone:
            _log.info("the caller of a streamed body is gone, or does not read: %r", gone)
        finally:
            first.cancel()
            feeding.cancel()
            await asyncio.gather(first, feeding, return_exceptions=True)
            self._live.following.leave(self._session)

    async def _answer(
        self, first: asyncio.Future[str | None], lines: AsyncIterator[str], send: Send
    ) -> None:
        """Send every line; an error is the last one."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        try:
            line = await first
            while line is not None:
                await _send(send, line)
                line = await anext(lines, None)
        except LonghandError as error:
            value = f"error: {error.message}" if self._is_plain else _json(error_value(error))
            await _send(send, value + "\n")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _lines(self, feeding: asyncio.Task[None]) -> AsyncIterator[str]:
        """
        Every line of the answer, once it is known.

        Raises:
            LonghandError: The body cannot be read, or the session has ended early.
        """
        n_shown = 0
        async for update in self._updates(feeding):
            segments = self._session.text.segments
            for segment in segments[n_shown:]:
                yield segment.text + "\n" if self._is_plain else _json(_described(segment)) + "\n"
            n_shown = len(segments)
            if update.problem:
                raise EngineFailed(update.problem)
        if not self._is_plain:
            yield _json(self._ending()) + "\n"

    async def _updates(self, feeding: asyncio.Task[None]) -> AsyncIterator[LiveUpdate]:
        """The session's updates; an error of the body ends them."""
        updates = aiter(self._session.updates())
        waiting: set[asyncio.Future[Any]] = {feeding}
        while True:
            coming = asyncio.ensure_future(anext(updates, None))
            try:
                while not coming.done():
                    await asyncio.wait(waiting | {coming}, return_when=asyncio.FIRST_COMPLETED)
                    if feeding.done():
                        waiting = set()
                        feeding.result()
                update = coming.result()
            except SessionOver as over:
                raise Busy(over.ending.value, retry_after_s=_RETRY_S) from over
            finally:
                coming.cancel()
            if update is None:
                return
            if self._session.is_slow.is_set():  # then updates were left out
                raise Busy(Ending.SLOW.value, retry_after_s=_RETRY_S)
            yield update

    def _ending(self) -> dict[str, Any]:
        text = self._session.text
        return {
            "done": True,
            "text": " ".join(segment.text for segment in text.segments),
            "language": text.language,
            "duration": round(self._session.received_s, 3),
        }


def _described(segment: LiveSegment) -> dict[str, Any]:
    language = segment.ending.language
    found: dict[str, Any] = {
        "number": segment.number,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "words": [
            {"word": w.text, "start": w.start, "end": w.end, "probability": w.probability}
            for w in segment.words
        ],
    }
    return found | ({"language": language} if language else {})


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


async def _send(send: Send, line: str) -> None:
    message = {"type": "http.response.body", "body": line.encode(), "more_body": True}
    await asyncio.wait_for(send(message), _SLOW_S)


async def _first_bytes(body: AsyncIterator[bytes], idle_s: float) -> bytes:
    """
    The beginning of a body, enough to tell what it is.

    Raises:
        AudioUnreadable: There is nothing.
    """
    first = b""
    try:
        async with asyncio.timeout(idle_s):
            async for data in body:
                first += data
                if len(first) >= SNIFFED_BYTES:
                    break
    except TimeoutError:
        raise AudioUnreadable(Ending.IDLE.value) from None
    if not first:
        raise AudioUnreadable("the body is empty; send audio, such as a WAV")
    return first


def routes(live: LiveSessions) -> list[BaseRoute]:
    """The routes of this protocol."""
    return [Route("/transcribe/stream", StreamedBodies(live).take, methods=["POST"])]
