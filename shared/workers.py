"""What workers say of themselves, so that nobody has to ask them."""

from __future__ import annotations

import time
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field
from redis import Redis

from shared.catalogue import MODELS, ModelEntry
from shared.connections import as_texts
from shared.keys import WORKER, WORKERS, WORKERS_EVER

EXPIRES_S = 15
"""A worker that has not spoken for so long is taken for gone."""


class WorkerRecord(BaseModel):
    """
    One live worker.

    Attributes:
        models: Names it can run without downloading anything.
        own_models: Those of them that the operator added to the catalogue's.
        loaded: Those in memory now.
        revisions: What names the very weights of each of `models`: those in memory, else those on
            disk; "" where nobody noted it.
        engine_options: How its engine was set up: `threads`, `resident_models`, `model_ttl_s`.
        batch_size: Most chunks in one pass through a model.
        gpu_memory_used_bytes: By all programs, of the GPU it computes on, after its last pass;
            None without one.
        gpu_memory_total_bytes: What that GPU has.
        failed: Models that did not load when they were asked for last, and why.
        diarization_model: The one it takes where neither request nor model names one.
        diarizers: Diarization models it can run, those that it may fetch among them; None of a
            worker that does not tell, as those of older versions.
        diarizer_problems: Of others that it knows, why it cannot run them and how to mend it.
        can_download: Whether it may fetch any other model of the catalogue.
        engine_pid: Process that owns the models; it changes when that process was replaced.
        n_model_loads: Models loaded by the present engine process.
        n_engine_starts: Engine processes started so far.
        n_batches: Passes through a model so far; `n_mixed_batches` of them held chunks of several
            jobs, and all of them `n_chunks`.
        annotation_pids: Processes that align and diarize; none before they are needed.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    host: str
    pid: int
    engine: str
    device: str
    compute_type: str
    models: tuple[str, ...]
    own_models: tuple[ModelEntry, ...] = ()
    loaded: tuple[str, ...] = ()
    revisions: dict[str, str] = Field(default_factory=dict)
    engine_options: dict[str, float] = Field(default_factory=dict)
    batch_size: int = 1
    gpu_memory_used_bytes: int | None = None
    gpu_memory_total_bytes: int | None = None
    failed: dict[str, str] = Field(default_factory=dict)
    diarization_model: str = ""
    diarizers: tuple[str, ...] | None = None
    diarizer_problems: dict[str, str] = Field(default_factory=dict)
    can_download: bool = False
    slots: int
    n_running: int = 0
    engine_pid: int | None = None
    n_model_loads: int = 0
    n_engine_starts: int = 0
    n_batches: int = 0
    n_mixed_batches: int = 0
    n_chunks: int = 0
    annotation_pids: tuple[int, ...] = ()
    started_at: float

    def can_run(self, model: str) -> bool:
        """Whether the worker has the model or may fetch it, as it may those of the catalogue."""
        return model in self.models or (self.can_download and model in MODELS)

    def diarizer(self, entry: ModelEntry, chosen: str | None) -> str:
        """The diarization model it would take: the caller's, else the model's, else its own."""
        return chosen or entry.diarizer or self.diarization_model

    def can_diarize(self, entry: ModelEntry, chosen: str | None) -> bool:
        """Whether it can say who speaks, by the diarization model that is meant."""
        return self.diarizers is None or self.diarizer(entry, chosen) in self.diarizers

    def is_usable(self, model: str) -> bool:
        """Whether a job with the model would be done, as far as is known."""
        return self.can_run(model) and model not in self.failed


class Workers:
    """The live workers, in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def publish(self, record: WorkerRecord) -> None:
        """Say that this worker lives; to be repeated well within `EXPIRES_S`."""
        pipe = self._redis.pipeline()
        pipe.set(WORKER.of(record.name), record.model_dump_json(), ex=EXPIRES_S)
        pipe.zadd(WORKERS, {record.name: time.time()})
        pipe.set(WORKERS_EVER, "1")
        pipe.execute()

    def have_been(self) -> bool:
        """Whether a worker has ever come up here."""
        return bool(self._redis.exists(WORKERS_EVER))

    def retire(self, name: str) -> None:
        """Say that this worker has stopped."""
        pipe = self._redis.pipeline()
        pipe.delete(WORKER.of(name))
        pipe.zrem(WORKERS, name)
        pipe.execute()

    def live(self) -> list[WorkerRecord]:
        """Every worker that spoke lately, the one heard of longest ago first."""
        names = as_texts(self._redis.zrange(WORKERS, 0, -1))
        if not names:
            return []
        values = self._redis.mget([WORKER.of(name) for name in names])
        gone = [name for name, value in zip(names, values, strict=True) if value is None]
        if gone:
            self._redis.zrem(WORKERS, *gone)
        return [WorkerRecord.model_validate_json(value) for value in values if value is not None]


def own_models(live: Iterable[WorkerRecord]) -> dict[str, ModelEntry]:
    """Models that operators added on these workers, by name."""
    return {entry.name: entry for worker in live for entry in worker.own_models}


def known_models(live: Iterable[WorkerRecord]) -> dict[str, ModelEntry]:
    """Every model that a site may be asked for, by name: the catalogue's, and its own."""
    return {**MODELS, **own_models(live)}
