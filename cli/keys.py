"""`longhand keys`: who may call with a key, if LONGHAND_AUTH is `keys`."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from cli.settings import read_settings
from cli.table import table_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gateway.access.keys import ApiKey, Role
    from gateway.settings import GatewaySettings


@click.group()
def keys() -> None:
    """Give out, list and revoke the keys in LONGHAND_API_KEYS_FILE; no restart is needed."""


@keys.command()
@click.argument("name")
@click.option("--role", type=click.Choice(["user", "admin"]), default="user", show_default=True)
@click.option("--rate", help="Requests that it allows, such as 60/minute; else the site's rate.")
def add(name: str, role: Role, rate: str | None) -> None:
    """
    Make a key for NAME and print it; it is not shown again.

    Jobs that are sent with it belong to NAME. A user of that name at nginx sees the same jobs.
    """
    from gateway.access.keys import add_key

    settings = _settings()
    with _errors_shown():
        key = add_key(settings.api_keys_file, name, role=role, rate=rate)
    click.echo(key)
    click.echo(f"{name}'s key is kept nowhere else: note it now", err=True)
    if settings.auth == "off":
        click.echo("LONGHAND_AUTH is off: keys mean nothing until it is `keys`", err=True)


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of a table.")
def show(as_json: bool) -> None:
    """List who has a key."""
    from gateway.access.keys import read_keys

    with _errors_shown():
        found = read_keys(_settings().api_keys_file)
    if as_json:
        value = [key.model_dump(mode="json", exclude={"sha256"}) for key in found]
        click.echo(json.dumps(value, indent=2))
    else:
        click.echo(_table(found))


@keys.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Make NAME's key invalid, within a second or two; NAME's jobs stay."""
    from gateway.access.keys import revoke_key

    with _errors_shown():
        revoke_key(_settings().api_keys_file, name)
    click.echo(f"{name}'s key is no longer valid")


def _settings() -> GatewaySettings:
    from gateway.settings import GatewaySettings

    return read_settings(GatewaySettings)


@contextmanager
def _errors_shown() -> Iterator[None]:
    """Errors in the block end the command, with their message."""
    from gateway.access.keys import KeyFileError

    try:
        yield
    except KeyFileError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"LONGHAND_API_KEYS_FILE: {error}") from error


def _table(found: Sequence[ApiKey]) -> str:
    rows = [("name", "role", "rate", "created")]
    rows += [(key.name, key.role, key.rate or "-", key.created_at or "-") for key in found]
    return "\n".join(table_lines(rows))
