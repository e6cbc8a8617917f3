"""The chunks that a job has done are kept in Redis, so that another worker can go on from there."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from shared.jobs.chunks import KeptChunk, KeptChunks
from worker.audio.source import Span
from worker.decoding.checkpoints import Plan
from worker.decoding.lanes import DecodedChunk
from worker.speech.detection import Speech

_log = logging.getLogger(__name__)


class JobCheckpoint:
    """`checkpoints.Checkpoint` of one attempt at a job."""

    def __init__(self, chunks: KeptChunks, job_id: str, attempt: int) -> None:
        self._chunks = chunks
        self._job_id = job_id
        self._attempt = attempt

    def recall(
        self, model: tuple[str, str, str], channel: int = 0
    ) -> tuple[Plan, Mapping[int, DecodedChunk]] | None:
        """See `Checkpoint.recall`."""
        kept = self._chunks.read(self._job_id, channel) if self._attempt > 1 else None
        plan = _read_plan(kept[0]) if kept else None
        if kept is None or plan is None or plan.model != model:
            return None
        try:
            done = {index: _read_done(chunk) for index, chunk in kept[1].items()}
        except (ValueError, KeyError, TypeError):
            # A worker of another version wrote them: they are decoded again.
            return None
        _log.info("goes on after %d chunks", len(done))
        return plan, done

    def begin(self, plan: Plan, channel: int = 0) -> None:
        """See `Checkpoint.begin`."""
        speech = plan.speech
        value = {
            "model": plan.model,
            "lanes": speech.lanes,
            "spans": speech.spans,
            "voiced": speech.voiced,
            "sounds": speech.sounds,
        }
        self._chunks.begin(self._job_id, self._attempt, json.dumps(value), channel)

    def keep(self, index: int, chunk: DecodedChunk, next_index: int | None) -> None:
        """See `Checkpoint.keep`."""
        state = {
            "language_probability": chunk.language_probability,
            "next_start": chunk.next_start,
            "context": chunk.context,
            "is_last": chunk.is_last,
            "n_cuts": chunk.n_cuts,
        }
        kept = KeptChunk(
            language=chunk.language or "",
            next_index=next_index,
            state=json.dumps(state),
            segments=chunk.segments,
        )
        self._chunks.keep(self._job_id, self._attempt, index, kept)


def _read_plan(text: str) -> Plan | None:
    """A plan from Redis; None if a worker of another version wrote it."""
    try:
        value = json.loads(text)
        name, revision, engine = value["model"]
        lanes, spans, voiced, sounds = (
            tuple(Span(int(start), int(end)) for start, end in value[part])
            for part in ("lanes", "spans", "voiced", "sounds")
        )
    except (ValueError, KeyError, TypeError):
        return None
    return Plan((name, revision, engine), Speech(lanes, spans, voiced, sounds=sounds))


def _read_done(kept: KeptChunk) -> DecodedChunk:
    state = json.loads(kept.state)
    return DecodedChunk(
        kept.segments,
        kept.language or None,
        float(state["language_probability"]),
        int(state["next_start"]),
        tuple(map(int, state["context"])),
        bool(state["is_last"]),
        int(state["n_cuts"]),
    )
