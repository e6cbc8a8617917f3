"""The model of requests that name none: the operator's, until `POST /reload` chooses another."""

from __future__ import annotations

import json
from typing import Any

from gateway.services import Services
from shared.catalogue import DEFAULT_NAMES

_KEY = "longhand:chosen_model"


def choose_default(here: Services, model: str) -> None:
    """
    Let every gateway of the site take this model of the catalogue from now on.

    It stands for the operator's setting as that is now: once he changes it, that holds again.
    """
    here.redis.set(_KEY, json.dumps([here.settings.default_model, model]))


def chosen_default(here: Services) -> str | None:
    """The model that was chosen; None while it is the operator's."""
    value: Any = here.redis.get(_KEY)
    instead_of, model = json.loads(value) if value else (None, None)
    return model if instead_of == here.settings.default_model else None


def default_model(here: Services) -> str | None:
    """The model of a request that names none."""
    return chosen_default(here) or here.settings.catalogue.resolve(None)


def meant_model(here: Services, asked: str | None) -> str | None:
    """
    What a request is to name: the chosen model in place of a name that means the default.

    The operator's own alias for such a name goes before.
    """
    own = here.settings.catalogue.aliases or {}
    means_default = asked is None or (asked in DEFAULT_NAMES and asked not in own)
    return chosen_default(here) or asked if means_default else asked
