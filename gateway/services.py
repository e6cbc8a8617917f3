"""The services that every route works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Flask, current_app

if TYPE_CHECKING:
    from redis import Redis

    from gateway.access.breaches import Breaches
    from gateway.access.callers import Access
    from gateway.metrics import Metrics
    from gateway.outward.downloads import Downloader
    from gateway.reading.probe import Probe
    from gateway.reading.resumable import Uploads
    from gateway.settings import GatewaySettings
    from gateway.submission.batches import Batches
    from gateway.waiting.slots import Waiting
    from gateway.waiting.watcher import Watcher
    from shared.jobs import Jobs
    from shared.storage import Storage
    from shared.workers import Workers

_NAME = "longhand"


@dataclass(frozen=True)
class Services:
    """Connections to Redis and storage, and what the threads of the process share."""

    settings: GatewaySettings
    access: Access
    breaches: Breaches
    redis: Redis
    storage: Storage
    jobs: Jobs
    workers: Workers
    waiting: Waiting
    watcher: Watcher
    probe: Probe
    downloads: Downloader
    batches: Batches
    uploads: Uploads
    metrics: Metrics

    def attach(self, app: Flask) -> None:
        """Set these as the services of an application."""
        app.extensions[_NAME] = self


def services() -> Services:
    """The services of the present request's application."""
    return services_of(current_app)


def services_of(app: Flask) -> Services:
    """The services of an application."""
    found = app.extensions[_NAME]
    assert isinstance(found, Services)
    return found
