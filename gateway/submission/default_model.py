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
    Make this model of the catalogue the default of every gateway of the site.

    It takes the place of the operator's setting as it is now: once they change the setting, the
    setting counts again.
    """
    here.redis.set(CHOSEN_MODEL, json.dumps([here.settings.default_model, model]))


def _chosen(redis: Redis, settings: SharedSettings) -> str | None:
    """The model that was chosen; None while the operator's setting counts."""
    value: Any = redis.get(CHOSEN_MODEL)
    instead_of, model = json.loads(value) if value else (None, None)
    return model if instead_of == settings.default_model else None


def default_model(here: Services) -> str | None:
    """The model of a request that names none."""
    return default_model_of(here.redis, here.settings)


def default_model_of(redis: Redis, settings: SharedSettings) -> str | None:
    """The same, for callers that have no services yet."""
    return _chosen(redis, settings) or settings.catalogue.resolve(None)


def meant_model(here: Services, asked: str | None) -> str | None:
    """
    The model that a request is meant to name.

    If it names none, or a name that stands for the default, it means the model that was chosen. An
    alias of the operator's own for such a name comes first.
    """
    own = here.settings.catalogue.aliases or {}
    means_default = asked is None or (asked in DEFAULT_NAMES and asked not in own)
    return _chosen(here.redis, here.settings) or asked if means_default else asked
