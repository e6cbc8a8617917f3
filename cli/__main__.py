"""The command `longhand`. Each command imports what it needs when it runs."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import click

from cli.keys import keys
from cli.models import models
from cli.signals import end_on

_ENV_FILE = Path(__file__).resolve().parents[1] / ".env"
_INTERRUPTED = 128 + signal.SIGINT


@click.group()
def longhand() -> None:
    """Longhand: self-hosted transcription."""


@longhand.command()
@click.argument("audio", type=click.Path(path_type=Path), required=False)
@click.option("--format", "format_name", default="text", help="text, srt, vtt, tsv, json …")
def demo(audio: Path | None, format_name: str) -> None:
    """
    Transcribe AUDIO (a bundled sample unless given) through a stack of its own.

    The model is Whisper `base`, which is fetched once; or the bundled phrase-book if that fails.
    """
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
@click.option(
    "--env-file",
    type=click.Path(path_type=Path),
    default=_ENV_FILE,
    help="Settings besides those of the environment; `.env` of the checkout unless given.",
)
def serve(port: int | None, n_workers: int, directory: Path, env_file: Path) -> None:
    """Run a stack until Ctrl-C: Redis, gateway and workers, kept in DIRECTORY."""
    from cli.serve import run_stack
    from cli.settings import take_env_file

    take_env_file(env_file)
    end_on(signal.SIGTERM, signal.SIGHUP)
    run_stack(directory, port=port, n_workers=n_workers)


@longhand.command()
def check() -> None:
    """
    Say what is wrong with the settings and this machine, and how to fix it.

    It looks at Redis, storage, keys, the engine and its device, the default model, speakers and
    room on disks. It ends with status 1 if jobs would fail.
    """
    from cli.check import look

    found = look()
    for finding in found:
        click.echo(finding.sentence, err=finding.is_problem)
    if any(finding.is_problem for finding in found):
        sys.exit(1)
    click.echo("settings, Redis, storage, engine and models are fine")


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
