"""Containers that arrive bit by bit, decoded by a process with limits (`decode_container.py`)."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from shared.errors import AudioUnreadable

Sink = Callable[[bytes], Awaitable[None]]
"""Takes 16-bit little-endian samples, mono, 16 kHz; may wait."""

_PROGRAM = Path(__file__).with_name("decode_container.py")
_PROBLEM = 3
_CPU_S = 1_800
"""CPU time of one stream; an hour of Opus takes some six seconds."""

_MEMORY_BYTES = 1_000_000_000
_READ_BYTES = 32_000
_HELD_BYTES = 1 << 16
_MOST_PROBLEM_BYTES = 2_000
_log = logging.getLogger(__name__)


class Decoding:
    """
    A process that decodes one container while it arrives. It starts with the first bytes.

    Writing waits while the process, or the sink, is behind.

    Args:
        kind: FFmpeg's name of the container.
    """

    def __init__(self, kind: str, sink: Sink) -> None:
        self._kind = kind
        self._sink = sink
        self._process: asyncio.subprocess.Process | None = None
        self._passing: asyncio.Task[None] | None = None

    async def write(self, data: bytes) -> None:
        """
        Take the next bytes.

        Raises:
            AudioUnreadable: The container cannot be decoded.
        """
        if self._process is None:
            await self._start()
        await self._feed(data)

    async def finish(self) -> None:
        """
        Wait until the sink has all samples of what was written.

        Raises:
            AudioUnreadable: As for `write`.
        """
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()
        assert self._passing is not None
        await self._passing

    async def close(self) -> None:
        """End the process, whatever it does."""
        if self._process is None or self._passing is None:
            return
        self._passing.cancel()
        await asyncio.gather(self._passing, return_exceptions=True)
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _start(self) -> None:
        # -I: neither the environment nor the working directory adds a module.
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", str(_PROGRAM), self._kind, str(_CPU_S), str(_MEMORY_BYTES),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_HELD_BYTES,
            env={},
            cwd="/",
        )  # fmt: skip
        self._passing = asyncio.create_task(self._pass_on(self._process))

    async def _feed(self, data: bytes) -> None:
        """Give the process some bytes, and wait until it takes more; or tell its problem."""
        assert self._process is not None and self._passing is not None
        stdin = self._process.stdin
        assert stdin is not None
        for start in range(0, len(data), _READ_BYTES):
            if self._passing.done():
                await self._passing
                raise AudioUnreadable("audio goes on after the end of the stream")
            with suppress(ConnectionError):  # it has ended; why, `_pass_on` tells
                stdin.write(data[start : start + _READ_BYTES])
                await stdin.drain()

    async def _pass_on(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None and process.stderr is not None
        while pcm := await process.stdout.read(_READ_BYTES):
            await self._sink(pcm)
        said = await process.stderr.read(_MOST_PROBLEM_BYTES)
        status = await process.wait()
        if status == _PROBLEM:
            raise AudioUnreadable(said.decode(errors="replace"))
        if status != 0:
            _log.warning("the decoder of a stream ended with %s: %s", status, said[-500:])
            raise AudioUnreadable("the stream cannot be read: decoding it failed")
