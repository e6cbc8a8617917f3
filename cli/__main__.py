"""The command `longhand`. What a command needs is imported when it runs."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from cli.keys import keys
from cli.models import models
from cli.signals import end_on

_SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "demo.wav"
_INTERRUPTED = 128 + signal.SIGINT


@click.group()
def longhand() -> None:
    """Longhand: self-hosted transcription."""


@longhand.command()
@click.argument("audio", type=click.Path(path_type=Path), default=_SAMPLE)
@click.option("--format", "format_name", default="text", help="text, srt, vtt, tsv, json …")
def demo(audio: Path, format_name: str) -> None:
    """Transcribe AUDIO (the bundled sample unless given) through a stack of its own."""
    from cli.demo import run_demo

    end_on(signal.SIGTERM, signal.SIGHUP)
    run_demo(audio, format_name)


@longhand.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Where the gateway listens; LONGHAND_PORT, or 8499.",
)
@click.option("--workers", "n_workers", type=click.IntRange(0), default=1, show_default=True)
@click.option("--directory", type=click.Path(path_type=Path), default=Path("data"))
def serve(port: int | None, n_workers: int, directory: Path) -> None:
    """Run a stack until Ctrl-C: Redis, gateway and workers, kept in DIRECTORY."""
    from cli.serve import run_stack

    end_on(signal.SIGTERM, signal.SIGHUP)
    run_stack(directory, port=port, n_workers=n_workers)


@longhand.command()
def check() -> None:
    """Say what is wrong with the settings, and whether Redis and storage can be reached."""
    from cli.check import find_problems

    problems = find_problems()
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        sys.exit(1)
    click.echo("settings, Redis and storage are fine")


longhand.add_command(models)
longhand.add_command(keys)


def main() -> None:
    """Run a command; Ctrl-C ends it with status 130."""
    try:
        longhand.main(prog_name="longhand", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
