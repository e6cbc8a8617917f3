"""Makes Prometheus metric families, and those about workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from shared.workers import WorkerRecord

Values = float | Mapping[Any, float]


def gauge(name: str, text: str, values: Values, *labels: str) -> Metric:
    """A gauge with its samples by label values."""
    return _filled(GaugeMetricFamily(name, text, labels=labels), values)


def counter(name: str, text: str, values: Values, *labels: str) -> Metric:
    """A counter with its samples by label values."""
    return _filled(CounterMetricFamily(name, text, labels=labels), values)


def _filled(family: Any, values: Values) -> Metric:
    """Add a sample for each set of label values; one without labels if `values` is a number."""
    for labels, value in (values if isinstance(values, Mapping) else {(): values}).items():
        family.add_metric(labels, value)
    filled: Metric = family
    return filled


def default_model_metrics(model: str | None, workers: Sequence[WorkerRecord]) -> Iterator[Metric]:
    """Whether jobs that name no model would be worked on."""
    name = model or ""
    usable = {(name,): float(any(worker.is_usable(name) for worker in workers))}
    yield gauge(
        "longhand_default_model_usable",
        "1 if a live worker would do a job that names no model.",
        usable,
        "model",
    )


def worker_metrics(workers: Sequence[WorkerRecord]) -> Iterator[Metric]:
    """What each running worker publishes about itself."""
    yield gauge("longhand_workers", "Workers that live.", len(workers))
    labels = ("worker", "host", "engine", "device", "compute_type")
    info = {tuple(str(getattr(w, label, w.name)) for label in labels): 1.0 for w in workers}
    yield gauge("longhand_worker_info", "1, for its labels.", info, *labels)
    slots = {(w.name,): w.slots for w in workers}
    yield gauge("longhand_worker_slots", "Jobs it works on at a time.", slots, "worker")
    running = {(w.name,): w.n_running for w in workers}
    yield gauge("longhand_worker_jobs", "Jobs it works on now.", running, "worker")
    starts = {(w.name,): w.n_engine_starts for w in workers}
    yield counter(
        "longhand_worker_engine_starts_total",
        "Starts of the process that holds its models; each after the first replaced a dead one.",
        starts,
        "worker",
    )
    fill = {(w.name,): w.n_chunks / (w.n_batches * w.batch_size) for w in workers if w.n_batches}
    yield gauge(
        "longhand_batch_fill_ratio",
        "Chunks in its batches, of those there was room for, since it started.",
        fill,
        "worker",
    )
    memory = {
        (w.name, w.device, kind): n_bytes
        for w in workers
        for kind, n_bytes in (
            ("used", w.gpu_memory_used_bytes),
            ("total", w.gpu_memory_total_bytes),
        )
        if n_bytes is not None
    }
    yield gauge(
        "longhand_gpu_memory_bytes",
        "Memory of its GPU, used by all programs or in total.",
        memory,
        "worker",
        "device",
        "kind",
    )


_LIVE_TOTALS = (
    ("sessions_begun", "sessions", "Live sessions it has begun, or taken over."),
    ("calls", "calls", "Calls of its engine process with live audio."),
    ("steps", "steps", "Decodings of live audio in these calls."),
    ("audio_seconds", "audio_s", "Live audio it has heard."),
)
"""Of each counter: its name, where a worker's record has it, and its text."""


def live_metrics(workers: Sequence[WorkerRecord]) -> Iterator[Metric]:
    """Live sessions of each running worker."""
    room = {(w.name,): w.live_sessions for w in workers}
    yield gauge("longhand_worker_live_slots", "Live sessions it takes at a time.", room, "worker")
    speaking = {(w.name,): w.n_live for w in workers}
    yield gauge("longhand_worker_live_sessions", "Live sessions it has now.", speaking, "worker")
    lag = {(w.name,): w.live_lag_s for w in workers}
    text = "The most live audio of one session that waited for its turn lately."
    yield gauge("longhand_worker_live_lag_seconds", text, lag, "worker")
    for name, field, text in _LIVE_TOTALS:
        done = {(w.name,): w.live_totals.get(field, 0.0) for w in workers}
        yield counter(f"longhand_worker_live_{name}_total", text, done, "worker")
