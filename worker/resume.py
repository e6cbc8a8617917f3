"""What a job has done, kept in Redis: another worker goes on from there."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from shared.chunks import KeptChunk, KeptChunks
from worker.audio import Span
from worker.checkpoints import Plan
from worker.engines.base import Decoding, Guess
from worker.speech import Speech

_log = logging.getLogger(__name__)


class JobCheckpoint:
    """`checkpoints.Checkpoint` of one attempt at a job."""

    def __init__(self, chunks: KeptChunks, job_id: str, attempt: int) -> None:
        self._chunks = chunks
        self._job_id = job_id
        self._attempt = attempt

    def recall(self, model: tuple[str, str, str]) -> tuple[Plan, Mapping[int, Decoding]] | None:
        """See `Checkpoint.recall`."""
        kept = self._chunks.read(self._job_id) if self._attempt > 1 else None
        plan = _read_plan(kept[0]) if kept else None
        if kept is None or plan is None or plan.model != model:
            return None
        done = {
            index: Decoding(chunk.segments, chunk.language)
            for index, chunk in kept[1].items()
            if index < len(plan.speech.chunks)
        }
        _log.info("goes on after %d of %d chunks", len(done), len(plan.speech.chunks))
        return plan, done

    def begin(self, plan: Plan) -> None:
        """See `Checkpoint.begin`."""
        value = {
            "model": plan.model,
            "chunks": plan.speech.chunks,
            "duration_s": plan.speech.duration_s,
            "guess": plan.guess,
        }
        self._chunks.begin(self._job_id, self._attempt, json.dumps(value))

    def keep(self, index: int, decoding: Decoding) -> None:
        """See `Checkpoint.keep`."""
        chunk = KeptChunk(language=decoding.language, segments=decoding.segments)
        self._chunks.keep(self._job_id, self._attempt, index, chunk)


def _read_plan(text: str) -> Plan | None:
    """A plan as it was kept; None if a worker of another version wrote it."""
    try:
        value = json.loads(text)
        name, revision, engine = value["model"]
        chunks = tuple(Span(int(start), int(end)) for start, end in value["chunks"])
        language, probability = value["guess"]
        speech = Speech(chunks, float(value["duration_s"]))
    except (ValueError, KeyError, TypeError):
        return None
    return Plan((name, revision, engine), speech, Guess(language, probability))
