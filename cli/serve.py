"""A private stack that stays up until it is told to end."""

from __future__ import annotations

import time
from pathlib import Path

import click

from cli.processes import ChildFailed
from cli.redis_server import RedisNotFound
from cli.settings import own_settings
from cli.stack import DirectoryInUse, Stack

_DEFAULT_PORT = 8499
_POLL_S = 0.5
_LIVE = ("LONGHAND_LIVE_HOST", "LONGHAND_LIVE_PORT", "LONGHAND_LIVE_URL")


def run_stack(directory: Path, *, port: int | None, n_workers: int) -> None:
    """Run a stack in `directory` until Ctrl-C, or until a part of it ends."""
    settings = dict(own_settings())
    port = port or int(settings.get("LONGHAND_PORT", _DEFAULT_PORT))
    live_port = int(settings.get("LONGHAND_LIVE_PORT", port + 1))
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
    except (ChildFailed, RedisNotFound, DirectoryInUse, OSError) as error:
        raise click.ClickException(str(error)) from error
