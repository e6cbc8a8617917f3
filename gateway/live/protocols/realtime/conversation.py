"""A Realtime session that has audio: its items, and what is sent of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from gateway.live.audio.opening import open_audio
from gateway.live.audio.spec import SAMPLE_BYTES
from gateway.live.protocols.realtime.configuration import Configuration
from gateway.live.protocols.realtime.events import Event, error
from gateway.live.protocols.realtime.turns import Turns
from gateway.live.sessions.session import LiveSession, SessionOver
from shared.errors import InvalidRequest

_LEAST_COMMIT_S = 0.1
"""OpenAI refuses to commit less."""


class Conversation:
    """
    One session of one client.

    Args:
        send: Sends events to the client.
    """

    def __init__(
        self,
        session: LiveSession,
        asked: Configuration,
        send: Callable[[Iterable[Event]], Awaitable[None]],
        *,
        is_beta: bool,
    ) -> None:
        self._session, self._spec, self._send = session, asked.spec, send
        self._turns = Turns(
            detects=asked.silence_s is not None, has_logprobs=asked.has_logprobs, is_beta=is_beta
        )
        # Both directions change items and tell of them: the client must see one order.
        self._telling = asyncio.Lock()
        self._buffered_s = 0.0

    async def read(self, first: bytes, next_audio: Callable[[], Awaitable[bytes]]) -> None:
        """Pass on audio until the client leaves, which `next_audio` raises."""
        bytes_per_s = self._spec.rate_hz * SAMPLE_BYTES[self._spec.encoding or "linear16"]
        async with open_audio(self._spec, self._session.send) as audio:
            data = first
            while True:
                self._buffered_s += len(data) / bytes_per_s
                await audio.write(data)
                data = await next_audio()

    async def write(self) -> None:
        """Send what is heard until the session is over."""
        text = self._session.text
        try:
            async for update in self._session.updates():
                heard = partial(self._turns.hear, update.committed, update.edges, text.flushed)
                await self._tell(heard)
                if update.problem:
                    await self._fail(update.problem)
        except SessionOver as over:
            await self._fail(over.ending.value)
            raise

    async def commit(self) -> None:
        """
        Make an item of the audio so far.

        Raises:
            InvalidRequest: There is next to none.
        """
        if self._buffered_s < _LEAST_COMMIT_S:
            raise InvalidRequest(
                f"there must be {_LEAST_COMMIT_S * 1000:.0f} ms of audio to commit; there are "
                f"{self._buffered_s * 1000:.0f} ms",
                param="input_audio_buffer",
            )
        self._buffered_s = 0.0
        flush = await self._session.flush()
        at_s = self._session.received_s
        await self._tell(lambda: self._turns.commit(at_s, flush))
        await self._tell(lambda: self._turns.settle(self._session.text.flushed))

    async def clear(self) -> None:
        """Forget the audio that is not committed."""
        self._buffered_s = 0.0
        at_s = self._session.received_s
        await self._tell(lambda: self._turns.clear(at_s))

    async def _fail(self, problem: str) -> None:
        """Tell that no more text comes, for each item that waits for some."""
        await self._tell(lambda: self._turns.fail(problem))
        await self._send([error(problem, "session_ended", kind="server_error")])

    async def _tell(self, change: Callable[[], list[Event]]) -> None:
        async with self._telling:
            await self._send(change())
