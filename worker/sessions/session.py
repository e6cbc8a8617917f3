"""A live session that this worker has claimed."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from shared.live.updates import LiveUpdate
from shared.live.wire import SAMPLE_BYTES, AudioEntry
from worker.live.messages import LiveAnswer, LiveFeed

SAMPLE_RATE_HZ = 16_000
_MOST_SILENCE = 60 * SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Said:
    """An update that is to be published, and the state that belongs to it ("" for no change)."""

    update: LiveUpdate
    state: str
    position: int


@dataclass(eq=False)
class HeldSession:
    """
    One session. Its state is that of the last answer; audio from `position` on may come again.

    Attributes:
        epoch: The number of the claim.
        request: A `LiveRequest`, as JSON.
        state: What the engine process said last; None before it said anything.
        position: The first sample that is needed to go on.
        asked: The last ask that was answered: its sample, and its number there.
        read_to: The last entry of audio that was read; (sample, number).
        last: The newest update.
        waiting: What is to be published, oldest first.
        entries: Audio that was read and not fed.
        lane_pid: The engine process that has it open.
        is_suspect: Whether it was in a call that failed: it is alone in the next.
        is_over, is_lost: Whether its last update was said; whether another worker has it.
        n_failures: Calls that failed with it alone.
        published_at, gone_at: When something was published; since when nobody serves the caller.
    """

    id: str
    epoch: int
    request: str
    state: str | None = None
    position: int = 0
    asked: tuple[int, int] = (0, 0)
    read_to: tuple[int, int] = (0, 0)
    last: LiveUpdate = field(default_factory=lambda: LiveUpdate(seq=0, heard_s=0.0))
    waiting: deque[Said] = field(default_factory=deque)
    entries: list[AudioEntry] = field(default_factory=list)
    lane_pid: int | None = None
    is_suspect: bool = False
    is_over: bool = False
    is_lost: bool = False
    n_failures: int = 0
    published_at: float = 0.0
    gone_at: float | None = None

    @classmethod
    def claimed(cls, session_id: str, epoch: int, record: dict[str, str]) -> HeldSession:
        """A session as its record in Redis has it: new, or as another worker left it."""
        session = cls(session_id, epoch, record["request"])
        if state := record.get("state"):
            known: dict[str, Any] = json.loads(state)
            session.state = known["state"]
            session.position = known["position"]
            session.asked = (known["asked"][0], known["asked"][1])
            session.last = LiveUpdate.model_validate(known["last"])
        session.read_to = (session.position, 0)
        return session

    def feed(self) -> LiveFeed:
        """What was read, without what was asked and answered before; nothing is left to feed."""
        entries, self.entries = self.entries, []
        start = entries[0].start
        pcm = bytearray()
        for entry in entries:
            # Audio that Redis lost counts as silence, so that later times are right.
            lost = min(_MOST_SILENCE, entry.start - start - len(pcm) // SAMPLE_BYTES)
            pcm += bytes(max(0, lost) * SAMPLE_BYTES)
            pcm += entry.pcm
        new = [e for e in entries if e.ask and (e.end, e.number) > self.asked]
        return LiveFeed(self.id, start, bytes(pcm), tuple((e.end, e.ask) for e in new))

    def take(self, answer: LiveAnswer, fed: LiveFeed) -> None:
        """Take an answer: its update waits to be published."""
        self.state, self.position = answer.state, answer.position
        if fed.asks:
            # The last entry that was read is at or after the last ask.
            self.asked = max(self.asked, self.read_to)
        is_last = any(ask == "end" for _, ask in fed.asks)
        self.is_suspect, self.n_failures = False, 0
        self.say(answer.update.model_copy(update={"is_last": is_last}))

    def say(self, update: LiveUpdate) -> None:
        """Number an update, and let it wait to be published."""
        self.last = update.model_copy(update={"seq": self.last.seq + 1})
        self.is_over = self.is_over or update.is_last
        state = "" if self.state is None else self._record()
        self.waiting.append(Said(self.last, state, self.position))

    def say_again(self, **fields: Any) -> None:
        """Say that nothing is new; or only what `fields` say."""
        self.say(_nothing_new(self.last).model_copy(update=fields))

    def rewind(self) -> None:
        """Forget what was read after the last answer: it is read again."""
        self.entries = []
        self.read_to = (self.position, 0)
        self.lane_pid = None

    def read(self, entries: Iterable[AudioEntry]) -> None:
        """Take audio as it was read, oldest first."""
        for entry in entries:
            self.entries.append(entry)
            self.read_to = (entry.end, entry.number)

    def _record(self) -> str:
        """What another worker needs to go on."""
        return json.dumps(
            {
                "state": self.state,
                "position": self.position,
                "asked": self.asked,
                "last": _nothing_new(self.last).model_dump(mode="json"),
            }
        )


def _nothing_new(last: LiveUpdate) -> LiveUpdate:
    """An update after `last` that changes nothing."""
    n_before = last.n_before + len(last.committed)
    return last.model_copy(update={"committed": (), "ends": (), "edges": (), "n_before": n_before})
