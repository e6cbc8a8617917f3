"""`LiveSessions` for a test, without a program around it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway.access.callers import Access
from gateway.access.origins import Origins
from gateway.live.sessions.opening import Clients, LiveSessions
from gateway.live.tail import connect_tail
from gateway.settings import GatewaySettings
from shared.connections import connect_briefly
from shared.live.request import LiveRequest

SECOND = b"\1\0" * 16_000
REQUEST = LiveRequest(model="demo")
NAME = "mine-0123456789abcdef"


@pytest.fixture
def run(redis_url, storage_dir):
    """Run a test, which takes `LiveSessions`, in an event loop."""

    @asynccontextmanager
    async def opened(**changed):
        settings = GatewaySettings(
            redis_url=redis_url, storage_dir=storage_dir, default_model="demo", **changed
        )
        clients = Clients(connect_briefly(redis_url), connect_tail(redis_url),
                          connect_tail(redis_url))  # fmt: skip
        access = Access(settings, host="127.0.0.1")
        live = LiveSessions(settings, clients, access, Origins(()))
        task = asyncio.create_task(live.following.run())
        try:
            yield live
        finally:
            live.stop()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            for client in (clients.asked, clients.read):
                await client.aclose()
            clients.blocking.close()

    def run(test, **changed):
        async def whole():
            async with opened(**changed) as live:
                await asyncio.wait_for(test(live), 30)

        asyncio.run(whole())

    return run
