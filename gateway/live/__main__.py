"""`python -m gateway.live`: settings → logs → application → uvicorn."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType

import uvicorn
from pydantic import ValidationError

from gateway.access.callers import warn_of_access
from gateway.live.app import create_live
from gateway.live.connections import PatientWebSocket, listen
from gateway.live.protocols.wyoming.server import why_not_served
from gateway.live.sessions.opening import LiveSessions
from gateway.live.tail import Tail
from gateway.settings import GatewaySettings
from shared.logs import configure_logs
from shared.settings import describe_problems
from shared.starting import answer_arguments, naming

_GRACE_S = 3
_MOST_FRAME_BYTES = 1 << 20
"""The longest WebSocket frame taken, 33 s of audio; it is held in memory."""

_log = logging.getLogger("gateway.live")


def main(arguments: Sequence[str] = ()) -> int:
    """Serve until told to stop. Returns the exit status."""
    if (status := answer_arguments("python -m gateway.live", arguments)) is not None:
        return status
    try:
        settings = GatewaySettings()
    except ValidationError as error:
        for problem in describe_problems(error, GatewaySettings):
            sys.stderr.write(f"gateway.live: {problem}\n")
        return 2
    configure_logs(settings.log_level, settings.log_format, settings.log_file)
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    try:
        serve(settings)
    except OSError as error:
        _log.error("gateway.live cannot start: %s", error)
        return 1
    return 0


def serve(settings: GatewaySettings) -> None:
    """Answer requests until SIGTERM or Ctrl-C."""
    warn_of_access(settings, settings.live_host)
    address = f"{settings.live_host}:{settings.live_port}"
    with naming("LONGHAND_LIVE_HOST:LONGHAND_LIVE_PORT", address):
        listener = listen(settings.live_host, settings.live_port)
    listeners = [listener, *_listen_for_whisperlive(settings)]
    for each in listeners:
        host, port = each.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        _log.info("gateway.live listens on http://%s:%s", shown, port)
    app = create_live(settings, _listen_for_wyoming(settings))
    config = uvicorn.Config(
        app,
        # The peer is the connection's: headers about it are for `Access` to judge.
        proxy_headers=False,
        server_header=False,
        # nginx logs requests, without the query, which may hold a key.
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=_GRACE_S,
        ws=PatientWebSocket,
        ws_max_size=_MOST_FRAME_BYTES,
        # A thousand frames of silence fit into a packet, and all would be held in memory.
        ws_per_message_deflate=False,
        lifespan="on",
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn replaces these while it runs, and calls them when it has stopped.
        signal.signal(number, _stop)
    try:
        Server(config, app.state.tail, app.state.live).run(sockets=listeners)
    finally:
        _log.info("gateway.live has stopped")


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn's log is to be kept: not those about refused WebSockets."""
    # Kludex/uvicorn#3138: uvicorn does not count our refusal as an answer. Remove when it does.
    return "returned without completing handshake" not in record.getMessage()


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


class Server(uvicorn.Server):
    """Disconnects its callers when it has to stop, and does not wait for them to leave."""

    def __init__(self, config: uvicorn.Config, tail: Tail, live: LiveSessions) -> None:
        super().__init__(config)
        self._tail, self._live = tail, live

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close every connection, those of listeners first."""
        self._tail.stop()
        self._live.stop()
        await super().shutdown(sockets)


def _listen_for_whisperlive(settings: GatewaySettings) -> list[socket.socket]:
    """The second listener, if there is to be one."""
    if not settings.whisperlive_port:
        return []
    address = f"{settings.live_host}:{settings.whisperlive_port}"
    with naming("LONGHAND_LIVE_HOST:LONGHAND_WHISPERLIVE_PORT", address):
        return [listen(settings.live_host, settings.whisperlive_port)]


def _listen_for_wyoming(settings: GatewaySettings) -> socket.socket | None:
    """The listener for Wyoming's clients, if there are to be any."""
    if not settings.wyoming_port:
        return None
    if (problem := why_not_served(settings)) is not None:
        _log.warning("%s", problem)
        return None
    address = f"{settings.live_host}:{settings.wyoming_port}"
    with naming("LONGHAND_LIVE_HOST:LONGHAND_WYOMING_PORT", address):
        listener = listen(settings.live_host, settings.wyoming_port)
    _log.info("Wyoming is served at tcp://%s, without passwords", address)
    return listener


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
