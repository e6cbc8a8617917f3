"""The sources of models: the operator's mirror, the Hub, the package index, their makers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.models.sources.hub import Hub
from worker.models.sources.index import PackageIndex
from worker.models.sources.makers import Makers
from worker.models.sources.mirror import Mirror
from worker.models.sources.settings import read_hub_settings, read_index_settings
from worker.models.sources.source import Source
from worker.models.sources.web import Web

if TYPE_CHECKING:
    from worker.models.fetching import Fetching


def open_sources(fetching: Fetching) -> tuple[Source, ...]:
    """Every source of a site, in the order in which they are tried. Sends no request."""
    hub = fetching.hub or read_hub_settings()
    index = fetching.index or read_index_settings()
    web = Web(index.ca_file)
    return (
        *([Mirror(fetching.mirror, web)] if fetching.mirror else []),
        Hub(hub, fetching.token, web),
        PackageIndex(index, web),
        Makers(web),
    )
