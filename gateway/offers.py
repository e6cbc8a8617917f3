"""Which models a request may name now."""

from __future__ import annotations

from gateway.services import Services
from gateway.submission import can_run
from shared.catalogue import DEFAULT_NAMES
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
