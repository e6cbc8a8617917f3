"""Prometheus metrics: requests of this process, and the whole site as Redis knows it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client import disable_created_metrics as omit_times_of_creation
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from gateway.answering.shapes.deliveries import Outcome
from gateway.families import counter, default_model_metrics, gauge, live_metrics, worker_metrics
from gateway.openapi.document import version
from gateway.waiting.slots import Waiting
from gateway.waiting.watcher import Watcher
from shared.jobs import Jobs
from shared.records import Status
from shared.workers import WorkerRecord, Workers

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS_S = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600, 3600, 14400
)  # fmt: skip
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_ENDED = [status.value for status in Status if status.is_final]

_log = logging.getLogger(__name__)


class Metrics:
    """The metrics of one gateway process, in a registry of its own."""

    def __init__(
        self,
        jobs: Jobs,
        workers: Workers,
        waiting: Waiting,
        *,
        watcher: Watcher,
        default_model: Callable[[], str | None],
    ) -> None:
        omit_times_of_creation()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "longhand_requests_total",
            "Requests answered by the gateway.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._durations = Histogram(
            "longhand_request_duration_seconds",
            "From a request's last byte to the first of its answer.",
            ("route",),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        self._registry.register(_Here(waiting, watcher))
        self._registry.register(_Site(jobs, workers, default_model))

    def count_request(
        self, route: str, method: str, status: int, seconds: float | None = None
    ) -> None:
        """
        Count one request.

        Args:
            route: The route's rule, never the path: callers choose paths.
            seconds: How long it took; None if it was refused from its header.
        """
        known = method if method in _METHODS else "other"
        self._requests.labels(route, known, str(status)).inc()
        if seconds is not None:
            self._durations.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format, version 0.0.4."""
        return generate_latest(self._registry)


class _Here(Collector):
    """Metrics of this process."""

    def __init__(self, waiting: Waiting, watcher: Watcher) -> None:
        self._waiting = waiting
        self._watcher = watcher
        self._version = version()

    def describe(self) -> Iterable[Metric]:
        """Give none, so that registering does not collect."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        info = {(self._version,): 1.0}
        yield gauge("longhand_gateway_info", "1, for its labels.", info, "version")
        yield gauge(
            "longhand_waiting_slots", "Requests that may hold a thread.", self._waiting.n_slots
        )
        yield gauge(
            "longhand_waiting_slots_used", "Requests that hold a thread.", self._waiting.n_held
        )
        yield gauge(
            "longhand_waiting_requests", "Requests that wait for a job.", self._watcher.n_watched
        )


@dataclass(frozen=True)
class _Seen:
    """The site at one moment; `shared.jobs.figures` gives the totals."""

    standing: Mapping[str, int]
    depths: Mapping[str, int]
    head_age_s: float
    totals: Mapping[str, float]
    workers: Sequence[WorkerRecord]
    live_ended: Mapping[tuple[str, ...], float]
    default_model: str | None

    def total(self, name: str) -> float:
        """One total."""
        return self.totals.get(name, 0.0)

    def totals_by(self, prefix: str, *, always: Iterable[str] = ()) -> dict[tuple[str, ...], float]:
        """The totals named `prefix:name`, by name; names of `always` are there even if 0."""
        found: dict[tuple[str, ...], float] = {(name,): 0.0 for name in always}
        for key, value in self.totals.items():
            kind, _, name = key.partition(":")
            if kind == prefix:
                found[(name,)] = value
        return found


class _Site(Collector):
    """Metrics of the site's jobs and workers, from Redis; every gateway gives the same."""

    def __init__(
        self, jobs: Jobs, workers: Workers, default_model: Callable[[], str | None]
    ) -> None:
        self._default_model = default_model
        self._jobs = jobs
        self._workers = workers

    def describe(self) -> Iterable[Metric]:
        """Give none, so that registering does not ask Redis."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now; if Redis is away only `longhand_redis_up`."""
        text = "Whether Redis answered; without it there are no metrics of jobs and workers."
        try:
            seen = self._look()
        except (RedisError, OSError) as error:
            _log.warning("Redis is away: %s", error)
            yield gauge("longhand_redis_up", text, 0)
            return
        yield gauge("longhand_redis_up", text, 1)
        yield from _job_metrics(seen)
        yield from _work_metrics(seen)
        yield from default_model_metrics(seen.default_model, seen.workers)
        yield from worker_metrics(seen.workers)
        yield from live_metrics(seen.workers)
        yield counter(
            "longhand_live_connections_ended_total",
            "Connections of live sessions that have ended, by why.",
            {("done",): 0.0, ("slow",): 0.0, **seen.live_ended},
            "reason",
        )

    def _look(self) -> _Seen:
        figures = self._jobs.figures
        depths = figures.depths()
        heads = [since for _, since in depths.values() if since is not None]
        return _Seen(
            standing=figures.counts(),
            depths={priority: n for priority, (n, _) in depths.items()},
            head_age_s=max(0.0, time.time() - min(heads)) if heads else 0.0,
            totals=figures.totals(),
            workers=self._workers.live(),
            live_ended={(why,): n for why, n in figures.live_ended().items()},
            default_model=self._default_model(),
        )


def _job_metrics(seen: _Seen) -> Iterator[Metric]:
    standing = {(status,): n for status, n in seen.standing.items()}
    yield gauge("longhand_jobs", "Jobs that have not ended.", standing, "status")
    depths = {(priority,): n for priority, n in seen.depths.items()}
    yield gauge("longhand_queue_depth", "Jobs that wait for a worker.", depths, "priority")
    yield gauge(
        "longhand_queue_head_age_seconds",
        "How long the job that waits longest has waited; 0 if none does.",
        seen.head_age_s,
    )
    ended = seen.totals_by("jobs", always=_ENDED)
    yield counter("longhand_jobs_total", "Jobs that have ended.", ended, "status")
    yield counter(
        "longhand_webhooks_total",
        "Messages sent to the callers of jobs.",
        seen.totals_by("webhooks", always=get_args(Outcome)),
        "result",
    )
    yield counter(
        "longhand_cache_hits_total",
        "Jobs that took the result of another.",
        seen.total("cache_hits"),
    )


def _work_metrics(seen: _Seen) -> Iterator[Metric]:
    yield counter(
        "longhand_stage_seconds_total",
        "Time that jobs spent in each stage.",
        seen.totals_by("stage_s"),
        "stage",
    )
    yield counter(
        "longhand_stage_jobs_total",
        "Jobs that went through each stage.",
        seen.totals_by("stage_n"),
        "stage",
    )
    yield counter("longhand_audio_seconds_total", "Audio transcribed.", seen.total("audio_s"))
    yield counter(
        "longhand_work_seconds_total",
        "Time from start to end of jobs that succeeded; audio by work is RTFx.",
        seen.total("work_s"),
    )
