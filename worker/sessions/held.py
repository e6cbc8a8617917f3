"""One live session that this worker has claimed."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass, field

from shared.live.updates import LiveUpdate
from shared.live.wire import AudioEntry
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.live.messages import LiveAnswer, LiveFeed

_MOST_FED_S = 5.0
"""The most audio of one session in one feed: more would hold up the others."""

_TOLD_EVERY_S = 5.0
"""After so much audio in which nothing is said, its end is told: a fast caller goes on then."""


@dataclass(frozen=True)
class Unpublished:
    """
    An update, and what belongs to it: whoever goes on from its state has said just that.

    Attributes:
        record: The state, as JSON.
        position: The first sample that is needed to go on.
    """

    update: LiveUpdate
    record: str
    position: int


@dataclass
class HeldSession:
    """
    A claimed session.

    Attributes:
        epoch: The number of the claim.
        state: What an engine process needs to go on, and `position`: the sample it goes on from.
        read: The id of the newest entry of audio that was read.
        is_open: Whether the engine process has it.
        n_deaths: How often the engine process died over this session.
        updates: Those that are not published yet.
        asked: The place of the newest thing asked by the caller that is dealt with.
        orphan_since: When its gateway.live was first found gone; None while it is there.
    """

    id: str
    epoch: int
    request: str
    model: str
    state: str | None = None
    position: int = 0
    seq: int = 0
    read: str = "0-0"
    is_open: bool = False
    published_at: float = 0.0
    asked: tuple[int, int] = (0, 0)
    orphan_since: float | None = None
    n_deaths: int = 0
    updates: deque[Unpublished] = field(default_factory=deque)
    _waiting: deque[AudioEntry] = field(default_factory=deque)
    _fed: list[AudioEntry] = field(default_factory=list)
    _shown: tuple[object, ...] = ()
    _told_s: float = 0.0
    _last: LiveUpdate = LiveUpdate(seq=0, heard_s=0.0)

    @classmethod
    def claimed(cls, session_id: str, epoch: int, record: dict[str, str]) -> HeldSession:
        """A session as its record in Redis has it."""
        held = cls(session_id, epoch, record["request"], record["model"])
        if "state" in record:
            known = json.loads(record["state"])
            held.state = json.dumps(known["engine"]) if known["engine"] else None
            held.position = known["position"]
            held._last = LiveUpdate.model_validate(known["last"])
            held.seq, held.asked = known["seq"], tuple(known["asked"])
        held.read_again()
        return held

    @property
    def record(self) -> str:
        """The state for Redis, as JSON."""
        known = {
            "engine": json.loads(self.state) if self.state else None,
            "position": self.position,
            "seq": self.seq,
            "asked": self.asked,
            "last": self._last.model_dump(mode="json"),
        }
        return json.dumps(known)

    @property
    def is_over(self) -> bool:
        """Whether its last update is said."""
        return self._last.is_last

    def read_again(self) -> None:
        """Forget the audio that was read: another engine process goes on from the state."""
        self.is_open = False
        self._waiting.clear()
        # Entries that end at the position hold nothing new, but something may be asked there.
        self.read = f"{self.position}-0"

    def take(self, entry: AudioEntry) -> None:
        """Take what came for the session."""
        self.read = entry.id
        if not entry.ask or (entry.end, entry.number) > self.asked:
            self._waiting.append(entry)

    def next_feed(self) -> LiveFeed | None:
        """What the engine process is given next; None if nothing came."""
        self._fed = []
        if not self._waiting:
            return None
        taken: list[AudioEntry] = []
        most = self._waiting[0].start + int(_MOST_FED_S * SAMPLE_RATE_HZ)
        while self._waiting and (not taken or self._waiting[0].end <= most):
            taken.append(self._waiting.popleft())
        self._fed = [entry for entry in taken if entry.ask]
        asks = tuple((entry.end, entry.ask) for entry in self._fed)
        return LiveFeed(self.id, taken[0].start, b"".join(entry.pcm for entry in taken), asks)

    @property
    def waiting_s(self) -> float:
        """Seconds of audio that came and were not given to the engine process yet."""
        n_samples = sum(entry.end - entry.start for entry in self._waiting)
        return n_samples / SAMPLE_RATE_HZ

    def answered(self, answer: LiveAnswer) -> None:
        """Take the answer to the last feed; it is published if anybody has to know it."""
        self.state, self.position = answer.state, answer.position
        for entry in self._fed:
            self.asked = entry.end, entry.number
        is_last = any(entry.ask == "end" for entry in self._fed)
        said = answer.update
        shown = (said.tail, said.flushed)
        is_news = bool(said.committed or said.ends or said.edges or said.language)
        is_far = said.heard_s - self._told_s >= _TOLD_EVERY_S
        if is_news or shown != self._shown or is_last or is_far or self.is_due:
            self._shown = shown
            self.say(said.model_copy(update={"is_last": is_last}))
        else:
            # What is repeated later tells of it: a caller who is far ahead waits for that.
            self._last = self._last.model_copy(update={"heard_s": said.heard_s})

    def say(self, update: LiveUpdate) -> None:
        """Queue an update."""
        self.seq += 1
        self._last = update.model_copy(update={"seq": self.seq})
        self.updates.append(Unpublished(self._last, self.record, self.position))
        self._told_s = self._last.heard_s
        self.published_at = time.monotonic()

    def repeat(self, **changed: object) -> None:
        """Queue an update that says nothing new: it renews the claim."""
        last = self._last
        nothing = {
            "n_before": last.n_before + len(last.committed),
            "committed": (), "ends": (), "edges": (), "language": None,
        }  # fmt: skip
        self.say(last.model_copy(update=nothing | changed))

    @property
    def is_due(self) -> bool:
        """Whether nothing was published for a second: the claim has to be renewed."""
        return time.monotonic() - self.published_at >= 1.0
