"""The model of requests that name none: the operator's, until `POST /reload` chooses another."""

from __future__ import annotations

from typing import Any

from redis import Redis

from gateway.services import Services
from shared.catalogue import DEFAULT_NAMES

_KEY = "longhand:default_model"


def choose_default(redis: Redis, model: str) -> None:
    """Let every gateway of the site take this model of the catalogue from now on."""
    redis.set(_KEY, model)


def chosen_default(redis: Redis) -> str | None:
    """The model that was chosen; None while it is the operator's."""
    value: Any = redis.get(_KEY)
    return value.decode() if value else None


def default_model(here: Services) -> str | None:
    """The model of a request that names none."""
    return chosen_default(here.redis) or here.settings.catalogue.resolve(None)


def meant_model(here: Services, asked: str | None) -> str | None:
    """
    What a request is to name: the chosen model in place of a name that means the default.

    The operator's own alias for such a name goes before.
    """
    own = here.settings.catalogue.aliases or {}
    means_default = asked is None or (asked in DEFAULT_NAMES and asked not in own)
    return chosen_default(here.redis) or asked if means_default else asked
