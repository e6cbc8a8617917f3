"""
The chunks of running jobs that are done, so that a crash does not cost them.

They lie in the hash `longhand:job:{id}:chunks`: the plan by which the audio was
cut, and a field for each chunk. The move that ends a job removes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from redis import Redis

from shared.transcript import Segment, Value

_PLAN = "plan"
_EXPIRES_S = 7 * 24 * 3600
"""Should nobody ever end the job."""

_KEEP = """
-- KEYS  job, chunks
-- ARGV  attempt, 'anew' or '', field, value, seconds until it expires
local status, attempt = unpack(redis.call('HMGET', KEYS[1], 'status', 'attempt'))
if status ~= 'running' or attempt ~= ARGV[1] then return 0 end
if ARGV[2] == 'anew' then redis.call('DEL', KEYS[2]) end
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[5])
return 1
"""


class KeptChunk(Value):
    """
    One chunk that is done.

    Attributes:
        segments: With times from the start of the audio; their ids say nothing.
    """

    language: str
    segments: tuple[Segment, ...]


class KeptChunks:
    """What is kept of running jobs. A worker that lost its job can keep nothing any more."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._keep_script = redis.register_script(_KEEP)

    def begin(self, job_id: str, attempt: int, plan: str) -> None:
        """Forget what is kept of a job, and keep this plan, which only workers read."""
        self._put(job_id, attempt, _PLAN, plan, anew=True)

    def keep(self, job_id: str, attempt: int, index: int, chunk: KeptChunk) -> None:
        """Keep a chunk of the plan."""
        self._put(job_id, attempt, str(index), chunk.model_dump_json(), anew=False)

    def _put(self, job_id: str, attempt: int, field: str, value: str, *, anew: bool) -> None:
        self._keep_script(
            keys=[f"longhand:job:{job_id}", chunks_key(job_id)],
            args=[attempt, "anew" if anew else "", field, value, _EXPIRES_S],
        )

    def read(self, job_id: str) -> tuple[str, Mapping[int, KeptChunk]] | None:
        """The plan of a job and its chunks by index; None if nothing is kept."""
        fields: Any = self._redis.hgetall(chunks_key(job_id))
        plan = fields.pop(_PLAN.encode(), None)
        if plan is None:
            return None
        try:
            chunks = {
                int(index): KeptChunk.model_validate_json(value) for index, value in fields.items()
            }
        except ValidationError:  # of another version: it is done again
            return None
        return plan.decode(), chunks

    def segments(self, job_id: str) -> list[Segment]:
        """The segments that are done so far, in time order, numbered."""
        kept = self.read(job_id)
        chunks = kept[1] if kept else {}
        segments = [segment for _, chunk in sorted(chunks.items()) for segment in chunk.segments]
        return [segment.model_copy(update={"id": n}) for n, segment in enumerate(segments)]


def chunks_key(job_id: str) -> str:
    """Where the chunks of a job lie in Redis."""
    return f"longhand:job:{job_id}:chunks"
