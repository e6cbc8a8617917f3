"""The model of requests that name none: the operator's, until `POST /reload` chooses another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from redis import Redis

from shared.catalogue import DEFAULT_NAMES
from shared.keys import CHOSEN_MODEL
from shared.settings import SharedSettings

if TYPE_CHECKING:
    from gateway.services import Services


def choose_default(here: Services, model: str) -> None:
    """
    Let every gateway of the site take this model of the catalogue from now on.

    It stands for the operator's setting as that is now: once he changes it, that holds again.
    """
    here.redis.set(CHOSEN_MODEL, json.dumps([here.settings.default_model, model]))


def chosen_default(here: Services) -> str | None:
    """The model that was chosen; None while it is the operator's."""
    return _chosen(here.redis, here.settings)


def _chosen(redis: Redis, settings: SharedSettings) -> str | None:
    value: Any = redis.get(CHOSEN_MODEL)
    instead_of, model = json.loads(value) if value else (None, None)
    return model if instead_of == settings.default_model else None


def default_model(here: Services) -> str | None:
    """The model of a request that names none."""
    return default_model_of(here.redis, here.settings)


def default_model_of(redis: Redis, settings: SharedSettings) -> str | None:
    """The same, where there are no services yet."""
    return _chosen(redis, settings) or settings.catalogue.resolve(None)


def meant_model(here: Services, asked: str | None) -> str | None:
    """
    What a request is to name: the chosen model in place of a name that means the default.

    The operator's own alias for such a name goes before.
    """
    own = here.settings.catalogue.aliases or {}
    means_default = asked is None or (asked in DEFAULT_NAMES and asked not in own)
    return chosen_default(here) or asked if means_default else asked
