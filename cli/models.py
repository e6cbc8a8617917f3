"""`longhand models`: which models are here, and what becomes of their files."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from cli.signals import end_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.models.files import ModelFiles, StoredModel
    from worker.settings import WorkerSettings

_DAMAGED = 1
_UNVERIFIED = 3

as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON instead of a table.")


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def models(context: click.Context, as_json: bool) -> None:
    """List the models that are here; or pull, remove, verify or reload them."""
    if context.invoked_subcommand is None:
        stored = _files().stored()
        click.echo(json.dumps([_value(m) for m in stored], indent=2) if as_json else _table(stored))


@models.command()
@click.argument("name")
def pull(name: str) -> None:
    """Download NAME for the engine in LONGHAND_ENGINE, unless it is here."""
    from cli.progress import ProgressLine
    from shared.sizes import in_words
    from worker.settings import quieten_libraries

    end_on(signal.SIGTERM, signal.SIGHUP)
    quieten_libraries()
    name, files = _known(name), _files()
    with ProgressLine(sys.stderr) as line, _told():
        line.show(f"pulling {name}")
        files.pull(
            name, lambda here, whole: line.show(f"pulling {name}, {in_words(whole)}:", here / whole)
        )
    click.echo(_table([model for model in files.stored() if model.name == name]))


@models.command()
@click.argument("name")
def rm(name: str) -> None:
    """Delete the files of NAME below LONGHAND_MODELS_DIR."""
    name = _known(name)
    with _told():
        _files().remove(name)
    click.echo(f"{name} is deleted")


@models.command()
@click.argument("name", required=False)
@as_json
def verify(name: str | None, as_json: bool) -> None:
    """
    Compare the files of NAME, or of all models, with what was downloaded.

    Ends with status 0 if all are as they were, 1 if one is damaged, and 3 if none is but nobody
    noted what one should be.
    """
    files = _files()
    names = [_known(name)] if name else [model.name for model in files.stored()]
    with _told():
        checked = {name: files.verify(name) for name in names}
    if as_json:
        value = [
            {"name": name, "state": found.state, "problems": found.problems}
            for name, found in checked.items()
        ]
        click.echo(json.dumps(value, indent=2))
    else:
        for name, found in checked.items():
            click.echo("\n  ".join([f"{name}: {found.state}", *found.problems]))
    states = {found.state for found in checked.values()}
    if "damaged" in states:
        sys.exit(_DAMAGED)
    if "unverified" in states:
        sys.exit(_UNVERIFIED)


@models.command()
def reload() -> None:
    """Have every worker read a model's files anew before its next job with it."""
    from redis.exceptions import RedisError

    from shared.connections import connect_briefly
    from shared.generations import Generations

    url = _settings().redis_url.get_secret_value()
    try:
        with connect_briefly(url) as redis:
            generation = Generations(redis).advance()
    except (RedisError, ValueError) as error:
        raise click.ClickException(f"LONGHAND_REDIS_URL: Redis does not answer: {error}") from error
    click.echo(f"generation {generation}: workers read a model's files anew before its next job")


def _settings() -> WorkerSettings:
    from pydantic import ValidationError

    from shared.settings import describe_problems
    from worker.settings import WorkerSettings

    try:
        return WorkerSettings()
    except ValidationError as error:
        problems = describe_problems(error, WorkerSettings)
        raise click.ClickException("\n".join(problems)) from error


def _files() -> ModelFiles:
    from worker.models.files import ModelFiles

    settings = _settings()
    return ModelFiles(settings.models_dir, settings.engine, downloads=settings.downloads)


def _known(name: str) -> str:
    """A model's own name. What a site's aliases lay over it is not asked: files have own names."""
    from shared.catalogue import MODELS, Catalogue

    found = Catalogue("").resolve(name)
    if found is None:
        raise click.ClickException(
            f"model {name!r} is not in the catalogue; it holds {', '.join(MODELS)}"
        )
    return found


@contextmanager
def _told() -> Iterator[None]:
    """Errors within the block end the command with their own sentence."""
    from shared.errors import LonghandError

    try:
        yield
    except (LonghandError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _value(model: StoredModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "engines": model.engines,
        "bytes": model.n_bytes,
        "revision": model.revision,
        "state": model.state,
        "where": str(model.where),
    }


def _table(stored: Sequence[StoredModel]) -> str:
    from shared.sizes import in_words

    rows = [("name", "size", "state", "revision", "engines", "where")]
    rows += [
        (m.name, in_words(m.n_bytes), m.state, m.revision[:12] or "-", ", ".join(m.engines),
         str(m.where))
        for m in stored
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)
