"""What every route works with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from flask import Flask, current_app
from redis import Redis

from gateway.access.breaches import Breaches
from gateway.access.callers import Access
from gateway.batches import Batches
from gateway.default_model import default_model_of
from gateway.metrics import Metrics
from gateway.outward.downloads import Downloader
from gateway.probe import Probe
from gateway.resumable import Uploads
from gateway.settings import GatewaySettings
from gateway.waiting import Waiting
from gateway.watcher import Watcher
from shared.connections import connect_briefly
from shared.jobs import Jobs
from shared.storage import Storage, open_storage
from shared.workers import Workers

_NAME = "longhand"


@dataclass(frozen=True)
class Services:
    """Everything outside the process, and the few things its threads share."""

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
        """Make these the services of an application."""
        app.extensions[_NAME] = self


def open_services(settings: GatewaySettings) -> Services:
    """Connect to all that the settings name."""
    redis = connect_briefly(settings.redis_url.get_secret_value())
    storage = open_storage(settings.storage_dir)
    jobs = Jobs(redis, storage, lease_s=settings.lease_s, max_attempts=settings.max_attempts)
    workers = Workers(redis)
    waiting = Waiting(jobs, n_slots=settings.waiting_slots)
    watcher = Watcher(redis)
    return Services(
        settings=settings,
        access=Access(settings, host=settings.host),
        breaches=Breaches(settings.rate_limit),
        redis=redis,
        storage=storage,
        jobs=jobs,
        workers=workers,
        waiting=waiting,
        watcher=watcher,
        probe=Probe(
            timeout_s=settings.probe_timeout_s,
            memory_bytes=settings.probe_memory_bytes,
            n_at_once=settings.probes_at_once,
        ),
        downloads=Downloader(settings),
        batches=Batches(redis, storage, jobs),
        uploads=Uploads(
            redis,
            storage,
            ttl_s=settings.upload_ttl_s,
            most=settings.max_uploads,
            limit=settings.max_audio_bytes,
        ),
        metrics=Metrics(
            redis,
            jobs,
            workers,
            waiting,
            watcher=watcher,
            default_model=partial(default_model_of, redis, settings),
        ),
    )


def services() -> Services:
    """The services of the application that answers the present request."""
    return services_of(current_app)


def services_of(app: Flask) -> Services:
    """The services of an application."""
    found = app.extensions[_NAME]
    assert isinstance(found, Services)
    return found
