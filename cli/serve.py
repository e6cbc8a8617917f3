"""A private stack that stays up until it is told to end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import click

from cli.processes import ChildFailed
from cli.redis_server import RedisNotFound
from cli.settings import own_settings
from cli.stack import DirectoryInUse, PortInUse, Stack

_DEFAULT_PORT = 8499
_HIGHEST_PORT = 65535
_POLL_S = 0.5
_LIVE = ("LONGHAND_LIVE_HOST", "LONGHAND_LIVE_PORT", "LONGHAND_LIVE_URL")


def run_stack(directory: Path, *, port: int | None, n_workers: int) -> None:
    """Run a stack in `directory` until Ctrl-C, or until a part of it ends."""
    settings = dict(own_settings())
    if port is None:
        port = _port(settings, "LONGHAND_PORT", _DEFAULT_PORT)
    live_port = _port(settings, "LONGHAND_LIVE_PORT", port + 1 if port else 0)
    for name in ("LONGHAND_REDIS_URL", "LONGHAND_HOST", "LONGHAND_PORT", *_LIVE):
        settings.pop(name, None)  # the stack's own, whatever the caller's site uses
    try:
        with Stack(
            directory, n_workers=n_workers, env=settings, port=port, live_port=live_port
        ) as stack:
            click.echo(
                f"Longhand is at {stack.url} (Ctrl-C stops it). Try:\n"
                f"  curl -F file=@samples/demo.wav '{stack.url}/transcribe/file?wait=true'\n"
                f"What happens to jobs is told at {stack.live_url}:\n"
                f"  curl -N {stack.live_url}/events"
            )
            while True:
                stack.check()
                time.sleep(_POLL_S)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
    except PortInUse as error:
        told = f"{error}; `--port` and LONGHAND_LIVE_PORT choose others"
        raise click.ClickException(told) from error
    except (ChildFailed, RedisNotFound, DirectoryInUse, OSError) as error:
        raise click.ClickException(str(error)) from error


def _port(settings: Mapping[str, str], name: str, default: int) -> int:
    value = settings.get(name, str(default))
    if not (value.isdecimal() and int(value) <= _HIGHEST_PORT):
        raise click.ClickException(
            f"{name} is {value!r}; it must be a whole number from 0 to {_HIGHEST_PORT}"
        )
    return int(value)
