"""Which models a request may name now."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.services import Services
from gateway.submission.submit import can_run
from shared.catalogue import DEFAULT_NAMES
from shared.errors import ModelNotFound
from shared.workers import known_models, own_models


def offered_names(here: Services) -> list[str]:
    """
    Names of models and the operator's own names for them; with no live worker, all we know.

    Names of repositories, and those that mean the default, are taken but not advertised.
    """
    catalogue, live = here.settings.catalogue, here.workers.live()
    known = known_models(live)
    usable = {name for name in known if can_run(name, live)}
    return [
        name
        for name in catalogue.names(own_models(live))
        if "/" not in name
        and name not in DEFAULT_NAMES
        and catalogue.resolve(name, known) in usable
    ]


def is_offered(here: Services, name: str) -> bool:
    """Whether a request may name this model now, by whatever name."""
    live = here.workers.live()
    meant = here.settings.catalogue.resolve(name, known_models(live))
    return meant is not None and can_run(meant, live)


def offered_or_none(here: Services, names: Iterable[str], *, theirs: re.Pattern[str]) -> str | None:
    """
    The first of some names that a request may give a model now; None for the site's own model.

    Args:
        theirs: Names of models that only another service has. Its clients always send one.

    Raises:
        ModelNotFound: There is none of that name, and the site is strict about it.
    """
    unknown = ""
    for name in names:
        if is_offered(here, name):
            return name
        if not theirs.fullmatch(name):
            unknown = unknown or name
    if unknown and here.settings.strict_models:
        raise ModelNotFound(
            f"model {unknown[:200]!r} is not known; GET /models lists those that are", param="model"
        )
    return None
