"""Settings from the environment: those of the caller, and those that programs started here get."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from shared.settings import SharedSettings

_Settings = TypeVar("_Settings", bound="SharedSettings")

_PREFIX = "LONGHAND_"


def read_settings(settings_class: type[_Settings]) -> _Settings:
    """
    Read the settings of a program from the environment.

    Raises:
        ClickException: One is wrong; a line for each, which names the variable.
    """
    import click
    from pydantic import ValidationError

    from shared.settings import describe_problems

    try:
        return settings_class()
    except ValidationError as error:
        problems = describe_problems(error, settings_class)
        raise click.ClickException("\n".join(problems)) from error


def plain_environment() -> dict[str, str]:
    """The caller's environment without Longhand's variables; a private stack has its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}


def own_settings() -> Mapping[str, str]:
    """The `LONGHAND_…` variables the caller has set."""
    return {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}


def take_env_file(path: Path) -> None:
    """
    Put the settings of a file such as `.env` into the environment, unless they are set there.

    Only names that begin with `LONGHAND_` are taken; the others are compose's. The file may be
    missing.
    """
    from pydantic_settings import BaseSettings, DotEnvSettingsSource

    read = DotEnvSettingsSource(BaseSettings, env_file=path, case_sensitive=True).env_vars
    for name, value in read.items():
        if name.startswith(_PREFIX) and value is not None:
            os.environ.setdefault(name, value)


def only(names: Iterable[str], settings: Mapping[str, str]) -> dict[str, str]:
    """The settings with these names."""
    return {name: settings[name] for name in names if name in settings}
