"""`python -m gateway`: settings → logs → application → waitress."""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import waitress
from flask import Flask
from pydantic import ValidationError

from gateway.access.callers import warn_of_access
from gateway.access.origins import Origins
from gateway.app import create_app, open_services
from gateway.retention import Retention, Sweeper
from gateway.server.access_log import count_refusal
from gateway.server.admission import Admission, use_admission
from gateway.server.channel import body_limit, listens_on, use_channel
from gateway.server.fullness import Fullness
from gateway.server.resuming import Dispatcher
from gateway.services import Services
from gateway.settings import OTHER_VARIABLES, GatewaySettings
from gateway.webhooks.sender import Webhooks
from shared.logs import configure_logs
from shared.reaper import Reaper
from shared.settings import describe_older, describe_problems
from shared.starting import answer_arguments, naming

_SPOOL = ".spool"
_log = logging.getLogger("gateway")


def main(arguments: Sequence[str] = ()) -> int:
    """Serve until told to stop. Returns the exit status."""
    if (status := answer_arguments("python -m gateway", arguments)) is not None:
        return status
    try:
        settings = GatewaySettings()
    except ValidationError as error:
        for problem in describe_problems(error, GatewaySettings):
            sys.stderr.write(f"gateway: {problem}\n")
        return 2
    configure_logs(settings.log_level, settings.log_format, settings.log_file)
    for warning in describe_older(GatewaySettings, others=OTHER_VARIABLES):
        _log.warning(warning)
    try:
        serve(settings)
    except OSError as error:
        _log.error("the gateway cannot start: %s", error)
        return 1
    return 0


def serve(settings: GatewaySettings) -> None:
    """Serve until SIGTERM or Ctrl-C."""
    with naming("LONGHAND_STORAGE_DIR", settings.storage_dir):
        use_spool(settings.storage_dir)
    services = open_services(settings)
    app = create_app(settings, services=services)
    server = listen(settings, app, Dispatcher(services.watcher, settings.threads))
    fullness = Fullness(services.jobs, most=settings.max_queued)
    fullness.start()
    use_channel(server, services.watcher, fullness.refusal, partial(count_refusal, app))
    origins = Origins(settings.listed_origins)
    use_admission(server, Admission(services.access, origins, services.breaches))

    def stop(_number: int, _frame: FrameType | None) -> None:
        services.waiting.stop()
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    services.watcher.start()
    background = start_background(services)
    warn_of_access(settings, settings.host)
    for host, port in listens_on(server):
        _log.info("the gateway listens on http://%s:%s", f"[{host}]" if ":" in host else host, port)
    server.run()
    for thread in background:
        thread.stop()
    fullness.stop()
    server.close()
    _log.info("the gateway has stopped")


def listen(settings: GatewaySettings, app: Flask, dispatcher: Dispatcher) -> Any:
    """Bind the address. Nothing is answered yet."""
    with naming("LONGHAND_HOST:LONGHAND_PORT", f"{settings.host}:{settings.port}"):
        return waitress.create_server(
            app,
            host=settings.host,
            port=settings.port,
            _dispatcher=dispatcher,
            threads=settings.threads,
            connection_limit=settings.connection_limit,
            max_request_body_size=body_limit(settings.max_audio_bytes),
            asyncore_use_poll=True,
            # waitress notices a disconnect only on a connection that it still reads, so one
            # more request is read ahead (`waitress.client_disconnected`).
            channel_request_lookahead=1,
            ident="longhand",
        )


def start_background(services: Services) -> Sequence[Reaper | Sweeper | Webhooks]:
    """Start the threads that work beside the requests."""
    redis, jobs, settings = services.redis, services.jobs, services.settings
    spool = settings.storage_dir.absolute() / _SPOOL
    retention = Retention(redis, jobs, services.storage, settings, spool=spool)
    threads: list[Reaper | Sweeper | Webhooks] = [
        Reaper(redis, jobs),
        Sweeper(redis, retention, every_s=settings.sweep_every_s),
    ]
    if settings.webhook_secret is not None:
        threads.append(Webhooks(redis, jobs, settings))
    for thread in threads:
        thread.start()
    return threads


def use_spool(storage_dir: Path) -> None:
    """Keep arriving bodies on the disk of the storage, and remove those of an earlier run."""
    spool = storage_dir.absolute() / _SPOOL
    spool.mkdir(parents=True, exist_ok=True)
    for left in spool.iterdir():
        left.unlink(missing_ok=True)
    tempfile.tempdir = str(spool)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
