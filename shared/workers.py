"""What each worker publishes about itself in Redis. Other programs read it there."""

from __future__ import annotations

import time
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field
from redis import Redis

from shared.catalogue import MODELS, ModelEntry
from shared.connections import as_texts
from shared.keys import WORKER, WORKERS, WORKERS_EVER

EXPIRES_S = 15
"""A worker that has not published for so long counts as gone."""


class WorkerRecord(BaseModel):
    """
    A live worker, as it describes itself.

    Attributes:
        models: Names of the models that it can run without a download.
        own_models: Those of them that the operator added to the catalogue.
        loaded: Those that are in memory now.
        revisions: The revision of each of `models`: of the weights in memory, or else on disk; ""
            if it is not known.
        engine_options: The settings of its engine: `threads`, `resident_models`, `model_ttl_s`.
        batch_size: The most chunks in one batch.
        gpu_memory_used_bytes: Memory of its GPU that all programs used after its last batch; None
            without a GPU.
        gpu_memory_total_bytes: Memory of that GPU.
        failed: Models that did not load at the last try, and why.
        diarization_model: The one it uses if neither the request nor the model names one.
        diarizers: Diarization models that it can run or may download; None from a worker of an
            older version, which does not publish them.
        diarizer_problems: Why it cannot run other diarization models, and what would help.
        can_download: Whether it may download any other model of the catalogue.
        engine_pid: The process that holds the models; it changes when that is replaced.
        n_model_loads: Models that the present engine process loaded.
        n_engine_starts: Engine processes started so far.
        n_batches: Batches so far. `n_mixed_batches` of them held chunks of several jobs; together
            they held `n_chunks`.
        annotation_pids: Processes that align and diarize; empty before they are needed.
        live_sessions: How many live sessions it takes at a time.
        n_live: How many it has.
        live_lag_s: The most audio of one session that waited for its turn lately, in seconds.
        live_totals: What it did so far for live sessions: `sessions`, `calls` of the engine
            process, `steps` (decodings) in these, and `audio_s`.
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
    live_sessions: int = 0
    n_live: int = 0
    live_lag_s: float = 0.0
    live_totals: dict[str, float] = Field(default_factory=dict)
    started_at: float

    def can_run(self, model: str) -> bool:
        """Whether the worker has the model, or may download it."""
        return model in self.models or (self.can_download and model in MODELS)

    def diarizer(self, entry: ModelEntry, chosen: str | None) -> str:
        """The diarization model it would use: the caller's, else the model's, else its own."""
        return chosen or entry.diarizer or self.diarization_model

    def can_diarize(self, entry: ModelEntry, chosen: str | None) -> bool:
        """Whether it can run the diarization model that it would use."""
        return self.diarizers is None or self.diarizer(entry, chosen) in self.diarizers

    def is_usable(self, model: str) -> bool:
        """Whether the worker can run the model, as far as is known."""
        return self.can_run(model) and model not in self.failed


class Workers:
    """The live workers, in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def publish(self, record: WorkerRecord) -> None:
        """Publish that this worker lives; to be repeated well within `EXPIRES_S`."""
        pipe = self._redis.pipeline()
        pipe.set(WORKER.of(record.name), record.model_dump_json(), ex=EXPIRES_S)
        pipe.zadd(WORKERS, {record.name: time.time()})
        pipe.set(WORKERS_EVER, "1")
        pipe.execute()

    def have_been(self) -> bool:
        """Whether a worker of this site ever published anything."""
        return bool(self._redis.exists(WORKERS_EVER))

    def retire(self, name: str) -> None:
        """Publish that this worker has stopped."""
        pipe = self._redis.pipeline()
        pipe.delete(WORKER.of(name))
        pipe.zrem(WORKERS, name)
        pipe.execute()

    def live(self) -> list[WorkerRecord]:
        """Every live worker, the one that published longest ago first."""
        names = as_texts(self._redis.zrange(WORKERS, 0, -1))
        if not names:
            return []
        values = self._redis.mget([WORKER.of(name) for name in names])
        gone = [name for name, value in zip(names, values, strict=True) if value is None]
        if gone:
            self._redis.zrem(WORKERS, *gone)
        return [WorkerRecord.model_validate_json(value) for value in values if value is not None]


def own_models(live: Iterable[WorkerRecord]) -> dict[str, ModelEntry]:
    """The models that operators added on these workers, by name."""
    return {entry.name: entry for worker in live for entry in worker.own_models}


def known_models(live: Iterable[WorkerRecord]) -> dict[str, ModelEntry]:
    """Every model that a request may name: the catalogue's, and the site's own."""
    return {**MODELS, **own_models(live)}
