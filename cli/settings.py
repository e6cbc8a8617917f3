"""The environment of programs that are started here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

_PREFIX = "LONGHAND_"


def plain_environment() -> dict[str, str]:
    """The environment without Longhand's variables; a private stack sets its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}


def own_settings() -> Mapping[str, str]:
    """The `LONGHAND_…` variables of the environment."""
    return {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}


def take_env_file(path: Path) -> None:
    """
    Add the settings in a file such as `.env` to the environment; variables that are set stay.

    Other variables in the file are for compose, and are ignored. A missing file is no error.
    """
    from pydantic_settings import BaseSettings, DotEnvSettingsSource

    read = DotEnvSettingsSource(BaseSettings, env_file=path, case_sensitive=True).env_vars
    for name, value in read.items():
        if name.startswith(_PREFIX) and value is not None:
            os.environ.setdefault(name, value)


def only(names: Iterable[str], settings: Mapping[str, str]) -> dict[str, str]:
    """Those of the settings that have these names."""
    return {name: settings[name] for name in names if name in settings}
