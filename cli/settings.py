"""The environment that programs started here are given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

_PREFIX = "LONGHAND_"


def plain_environment() -> dict[str, str]:
    """The caller's environment without Longhand's variables: a private stack is told its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}


def own_settings() -> Mapping[str, str]:
    """The `LONGHAND_…` variables the caller has set."""
    return {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}


def take_env_file(path: Path) -> None:
    """
    Have the settings in a file such as `.env` count as if they had been set; those set go before.

    What else stands there is compose's, and not for us. A file that is not there has none.
    """
    from pydantic_settings import BaseSettings, DotEnvSettingsSource

    read = DotEnvSettingsSource(BaseSettings, env_file=path, case_sensitive=True).env_vars
    for name, value in read.items():
        if name.startswith(_PREFIX) and value is not None:
            os.environ.setdefault(name, value)


def only(names: Iterable[str], settings: Mapping[str, str]) -> dict[str, str]:
    """Those of the settings that have these names."""
    return {name: settings[name] for name in names if name in settings}
