"""
The finished chunks of a run, which are kept because a worker may crash.

They are fields of a hash (`CHUNKS`). The hash also holds the plan by which the audio was cut: one
for each channel that is transcribed separately. The hash is removed when the run ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from pydantic import ValidationError
from redis import Redis

from shared.jobs.index_scripts import KEEP_CHUNK, PLAN
from shared.keys import CHUNKS, RUN, RUN_JOBS
from shared.transcript import Segment, Value

_EXPIRES_S = 7 * 24 * 3600
"""How long chunks are kept if the run never ends."""

_READ_AT_ONCE = 16


class KeptChunk(Value):
    """
    One chunk that is done.

    Attributes:
        next_index: The index of the next chunk in time, if that is not the next number.
        state: What a worker needs to go on after this chunk.
        segments: Their times are from the start of the audio; their ids are not used. This field
            stands last: the script that keeps a chunk cuts it from the JSON for listeners.
    """

    language: str
    next_index: int | None = None
    state: str = ""
    segments: tuple[Segment, ...]


class KeptChunks:
    """The chunks of a site's runs. A worker that lost its run cannot keep any more."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._keep_script = redis.register_script(KEEP_CHUNK)

    def begin(self, run_id: str, attempt: int, plan: str, channel: int = 0) -> None:
        """
        Keep a plan, which only workers read.

        Args:
            channel: The plan of channel 0 replaces all that is kept of the run; others are added.
        """
        self._put(run_id, attempt, _plan_of(channel), plan, anew=channel == 0)

    def keep(self, run_id: str, attempt: int, index: int, chunk: KeptChunk) -> None:
        """Keep a chunk of the plan."""
        self._put(run_id, attempt, str(index), chunk.model_dump_json(), anew=False)

    def _put(self, run_id: str, attempt: int, field: str, value: str, *, anew: bool) -> None:
        self._keep_script(
            keys=[RUN.of(run_id), CHUNKS.of(run_id), RUN_JOBS.of(run_id)],
            args=[run_id, attempt, "anew" if anew else "", field, value, _EXPIRES_S],
        )

    def read(self, run_id: str, channel: int = 0) -> tuple[str, Mapping[int, KeptChunk]] | None:
        """The plan of a run and the chunks of all plans by index; None if nothing is kept."""
        fields: Any = self._redis.hgetall(CHUNKS.of(run_id))
        plan = fields.get(_plan_of(channel).encode())
        if plan is None:
            return None
        try:
            chunks = {
                int(index): KeptChunk.model_validate_json(value)
                for index, value in fields.items()
                if not index.startswith(PLAN.encode())
            }
        except ValidationError:  # written by another version: the work is done again
            return None
        return plan.decode(), chunks

    def following(self, run_id: str, index: int) -> tuple[list[KeptChunk], int]:
        """
        Some chunks that are done, from `index` to before the first that is not done.

        Returns:
            The chunks, and the index to go on from.
        """
        wanted = [str(n) for n in range(index, index + _READ_AT_ONCE)]
        values: Any = self._redis.hmget(CHUNKS.of(run_id), wanted)
        found: list[KeptChunk] = []
        for value in takewhile(bool, values):
            try:
                found.append(KeptChunk.model_validate_json(value))
            except ValidationError:  # written by another version: read when the job has ended
                break
            if (jump := found[-1].next_index) is not None:
                return found, jump
        return found, index + len(found)

    def segments(self, run_id: str) -> list[Segment]:
        """The segments that are done so far, in time order, numbered."""
        kept = self.read(run_id)
        chunks = kept[1] if kept else {}
        segments = [segment for _, chunk in sorted(chunks.items()) for segment in chunk.segments]
        segments.sort(key=lambda segment: segment.start)  # channels come one after the other
        return [segment.model_copy(update={"id": n}) for n, segment in enumerate(segments)]


def _plan_of(channel: int) -> str:
    return f"{PLAN}{channel or ''}"
