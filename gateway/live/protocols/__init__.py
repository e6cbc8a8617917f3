"""The protocols of live sessions, one file or folder for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from starlette.routing import BaseRoute

from gateway.live.protocols import raw, stream, whisperlive
from gateway.live.protocols.asr import talking as asr
from gateway.live.protocols.deepgram import talking as deepgram
from gateway.live.protocols.realtime import talking as realtime
from gateway.live.sessions.opening import LiveSessions

PROTOCOLS: Sequence[Callable[[LiveSessions], list[BaseRoute]]] = (
    whisperlive.routes,
    asr.routes,
    deepgram.routes,
    realtime.routes,
    raw.routes,
    stream.routes,
)
"""Each gives the routes of one protocol."""
