"""The environment that programs started here are given."""

from __future__ import annotations

import os
from collections.abc import Mapping

_PREFIX = "LONGHAND_"


def plain_environment() -> dict[str, str]:
    """The caller's environment without Longhand's variables: a private stack is told its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)}


def own_settings() -> Mapping[str, str]:
    """The `LONGHAND_…` variables the caller has set."""
    return {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}
