"""
Serves Wyoming's clients, such as Home Assistant: `describe`, `transcribe`, audio, `transcript`.

See OHF-Voice/wyoming, README.md, "Event Types".
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from pydantic import ValidationError

from gateway.access.callers import is_loopback
from gateway.errors import REDIS_AWAY
from gateway.live.audio.opening import AudioIn, open_audio
from gateway.live.audio.spec import AudioSpec
from gateway.live.protocols.reading import invalid
from gateway.live.protocols.wyoming.wire import MOST_LINE_BYTES, Event, read_event, written
from gateway.live.sessions.opening import LiveSessions
from gateway.live.sessions.session import LiveSession, SessionOver
from gateway.settings import GatewaySettings
from shared.catalogue import ModelEntry
from shared.errors import Busy, EngineFailed, InvalidRequest, LonghandError
from shared.languages import NAMES
from shared.live.request import LiveRequest
from shared.records import DEFAULT_OWNER

_WHISPER = {"name": "OpenAI's Whisper", "url": "https://github.com/openai/whisper"}
_ENCODINGS = {1: "uint8", 2: "linear16"}
_RETRY_S = 10
_SLOW_S = 30.0
_log = logging.getLogger(__name__)


def why_not_served(settings: GatewaySettings) -> str | None:
    """Why Wyoming must not be served: it has no passwords, so all who reach its port may use it."""
    is_open = settings.auth != "keys" or settings.wyoming_without_keys
    if is_open or is_loopback(settings.live_host):
        return None
    return (
        "Wyoming is not served: it has no passwords, and LONGHAND_AUTH=keys. Let "
        "LONGHAND_LIVE_HOST be 127.0.0.1; or, if only those reach its port who may use it, set "
        "LONGHAND_WYOMING_WITHOUT_KEYS=true"
    )


@asynccontextmanager
async def serving(live: LiveSessions, listener: socket.socket | None) -> AsyncIterator[None]:
    """Serve Wyoming's clients meanwhile, if there is a listener."""
    if listener is None:
        yield
        return
    clients: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        clients.add(task)
        task.add_done_callback(clients.discard)
        # asyncio would log that the task of a connection was cancelled.
        with suppress(asyncio.CancelledError):
            await Client(live, writer).serve(reader)

    server = await asyncio.start_server(serve, sock=listener, limit=MOST_LINE_BYTES)
    try:
        yield
    finally:
        server.close()
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


class Client:
    """One connection: any number of utterances, one after the other."""

    def __init__(self, live: LiveSessions, writer: asyncio.StreamWriter) -> None:
        self._live, self._writer = live, writer
        self._asked: dict[str, Any] = {}
        self._utterance: Utterance | None = None

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Answer events until the client leaves, is silent for too long, or sends none."""
        try:
            while event := await self._next(reader):
                await self._answer(event)
        except LonghandError as error:
            with suppress(OSError):
                await self._send_error(error)
        except (TimeoutError, asyncio.IncompleteReadError, OSError) as gone:
            _log.info("a client of Wyoming is gone: %r", gone)
        finally:
            self._leave()
            self._writer.close()

    async def _next(self, reader: asyncio.StreamReader) -> Event | None:
        """The next event; meanwhile the client is told if the session ends early."""
        reading = asyncio.create_task(read_event(reader))
        try:
            async with asyncio.timeout(self._live.settings.live_idle_s):
                while not reading.done():
                    utterance = self._utterance
                    waiting: set[asyncio.Task[Any]] = {reading}
                    if utterance and not utterance.hearing.done():
                        waiting.add(utterance.hearing)
                    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    if utterance and (problem := utterance.problem):
                        self._leave()
                        await self._send_error(problem)
            return await reading
        finally:
            reading.cancel()

    async def _answer(self, event: Event) -> None:
        """Answer an event; an error ends the utterance, not the connection."""
        try:
            await self._take(event)
        except LonghandError as error:
            self._leave()
            await self._send_error(error)
        except SessionOver as over:
            self._leave()
            await self._send_error(Busy(over.ending.value, retry_after_s=_RETRY_S))
        except REDIS_AWAY:
            self._leave()
            await self._send_error(Busy("Redis is away; try again", retry_after_s=_RETRY_S))

    async def _take(self, event: Event) -> None:
        if event.type == "describe":
            await self._send(Event("info", describe(await self._live.models())))
        elif event.type == "ping":
            await self._send(Event("pong", event.data))
        elif event.type == "transcribe":
            self._asked = event.data
        elif event.type == "audio-start":
            self._leave()
            self._utterance = await self._begin(event.data)
        elif event.type == "audio-chunk" and self._utterance:
            await self._utterance.hear(event.payload)
        elif event.type == "audio-stop" and self._utterance:
            found = await self._utterance.finish()
            self._leave()
            await self._send(Event("transcript", found))

    async def _begin(self, form: dict[str, Any]) -> Utterance:
        width = form.get("width", 2)
        if width not in _ENCODINGS:
            raise InvalidRequest(f"width is {str(width)[:20]}; it must be 1 or 2", param="width")
        rate_hz, n_channels = form.get("rate", 16_000), form.get("channels", 1)
        if not isinstance(rate_hz, int) or not isinstance(n_channels, int):
            raise InvalidRequest("rate and channels must be whole numbers", param="rate")
        spec = AudioSpec(_ENCODINGS[width], rate_hz, n_channels)
        spec.check()
        name = self._asked.get("name")
        try:
            request = LiveRequest(
                model=await self._live.model(str(name) if name else None),
                language=self._asked.get("language"),
                chinese=self._live.settings.default_chinese,
            )
        except ValidationError as error:
            raise invalid(error) from error
        return Utterance(self._live, await self._live.open(DEFAULT_OWNER, request), spec)

    def _leave(self) -> None:
        if self._utterance:
            self._utterance.leave()
        self._utterance = None

    async def _send_error(self, error: LonghandError) -> None:
        await self._send(Event("error", {"text": error.message, "code": error.code}))

    async def _send(self, event: Event) -> None:
        self._writer.write(written(event))
        await asyncio.wait_for(self._writer.drain(), _SLOW_S)


class Utterance:
    """One utterance, which is one session."""

    def __init__(self, live: LiveSessions, session: LiveSession, spec: AudioSpec) -> None:
        self._live, self._session = live, session
        self._audio: AudioIn = open_audio(spec, session.send)
        self.hearing = asyncio.create_task(self._follow())

    @property
    def problem(self) -> LonghandError | None:
        """Why the session is over before its time."""
        error = self.hearing.exception() if self.hearing.done() else None
        return error if isinstance(error, LonghandError) else None

    async def hear(self, samples: bytes) -> None:
        """
        Take samples. Waits while the worker is too far behind.

        Raises:
            LonghandError: The session is over.
        """
        await self._unless_over(self._audio.write(samples))

    async def finish(self) -> dict[str, Any]:
        """
        The text of the utterance, as a `transcript` has it.

        Raises:
            LonghandError: The session is over.
        """
        await self._unless_over(self._audio.finish())
        await self._unless_over(self._session.end())
        await self.hearing
        text = self._session.text
        said = " ".join(segment.text for segment in text.segments)
        language = self._session.request.language or text.language
        return {"text": said} | ({"language": language} if language else {})

    def leave(self) -> None:
        """Leave the session."""
        self.hearing.cancel()
        self._live.following.leave(self._session)

    async def _follow(self) -> None:
        try:
            async for update in self._session.updates():
                if update.problem:
                    raise EngineFailed(update.problem)
        except SessionOver as over:
            raise Busy(over.ending.value, retry_after_s=_RETRY_S) from over

    async def _unless_over(self, work: Coroutine[Any, Any, None]) -> None:
        working = asyncio.ensure_future(work)
        try:
            await asyncio.wait({working, self.hearing}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await self.hearing
            await working
        finally:
            working.cancel()


def describe(models: list[ModelEntry]) -> dict[str, Any]:
    """What this site offers, as an `info` event has it."""
    found = [
        {
            "name": entry.name,
            "description": entry.name,
            "attribution": _WHISPER,
            "installed": True,
            "version": None,
            "languages": _languages(entry),
        }
        for entry in models
    ]
    program = {
        "name": "longhand",
        "description": "Longhand: Whisper on your own machines",
        "attribution": _WHISPER,
        "installed": True,
        "version": None,
        "models": found,
        "supports_transcript_streaming": False,
    }
    return {"asr": [program]}


def _languages(entry: ModelEntry) -> list[str]:
    if not entry.is_multilingual:
        return ["en"]
    return [code for code in NAMES if code != "yue" or entry.knows_cantonese]
