"""`longhand serve`: a private stack that runs until Ctrl-C."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import click

from cli.addresses import PortInUse
from cli.chosen_model import ChosenModel, choose_model
from cli.processes import ChildFailed
from cli.progress import ProgressLine
from cli.redis_server import RedisNotFound
from cli.settings import own_settings
from cli.stack import DirectoryInUse, Stack, Watch
from shared.phrase_book import WARNING

_DEFAULT_PORT = 8499
_HIGHEST_PORT = 65535
_POLL_S = 0.5
_DEADLINE_S = 3600
"""Long, since a worker may have to fetch and load several models first."""

_OWN = ("LONGHAND_REDIS_URL", "LONGHAND_PORT", "LONGHAND_LIVE_PORT")
"""The caller's settings that are not used: the stack chooses them."""


def run_stack(directory: Path, *, port: int | None, n_workers: int) -> None:
    """Run a stack in `directory` until Ctrl-C, or until a part of it has ended."""
    settings = dict(own_settings())
    if port is None:
        port = _port(settings, "LONGHAND_PORT", _DEFAULT_PORT)
    live_port = _port(settings, "LONGHAND_LIVE_PORT", port + 1 if port else 0)
    settings.setdefault("LONGHAND_LIVE_HOST", settings.get("LONGHAND_HOST", "127.0.0.1"))
    settings = {name: value for name, value in settings.items() if name not in _OWN}
    try:
        chosen = choose_model() if n_workers else None
        with (
            ProgressLine(sys.stderr) as line,
            Stack(
                directory,
                n_workers=n_workers,
                env={**settings, **(chosen.env if chosen else {})},
                port=port,
                live_port=live_port,
                watch=Watch(line.show, _DEADLINE_S),
            ) as stack,
        ):
            line.clear()
            click.echo(_banner(stack, chosen))
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


def _banner(stack: Stack, chosen: ChosenModel | None) -> str:
    lines = [
        f"Longhand is at {stack.url} (Ctrl-C stops it). Try:",
        f"  curl -F file=@samples/conversation.flac '{stack.url}/transcribe/file?wait=true'",
        f"What happens to jobs can be read at {stack.live_url}:",
        f"  curl -N {stack.live_url}/events",
        f"Live speech (docs/live.md): {stack.live_url.replace('http', 'ws', 1)}/ (WhisperLive), "
        "/asr, /v1/listen (Deepgram), /v1/realtime (OpenAI)",
    ]
    if chosen is not None:
        lines.append(f"Requests that name no model are answered by {chosen.name}.")
        if chosen.is_phrase_book:
            lines[1] = lines[1].replace("conversation.flac", "demo.wav")
            lines.append(f"Warning: {WARNING}.")
    return "\n".join(lines)


def _port(settings: Mapping[str, str], name: str, default: int) -> int:
    value = settings.get(name, str(default))
    if not (value.isdecimal() and int(value) <= _HIGHEST_PORT):
        raise click.ClickException(
            f"{name} is {value!r}; it must be a whole number from 0 to {_HIGHEST_PORT}"
        )
    return int(value)
