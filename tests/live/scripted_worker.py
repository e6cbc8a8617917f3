"""A worker that says what a test tells it to, through the real wire."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from waiting import wait_until

from shared.keys import LIVE_AUDIO, LIVE_SESSION
from shared.live.request import LiveRequest
from shared.live.updates import LiveUpdate, LiveWord, SegmentEnd, SpeechEdge
from shared.live.wire import CLAIM, PUBLISH, AudioEntry, as_record
from shared.workers import WorkerRecord, Workers

SAMPLE_RATE_HZ = 16_000


@dataclass
class Claimed:
    """
    A session that the scripted worker has.

    Attributes:
        entries: What came from the caller, audio joined.
        is_held: Whether it does not read its audio.
    """

    id: str
    epoch: int
    request: LiveRequest
    last: str = "0-0"
    seq: int = 0
    heard: int = 0
    n_words: int = 0
    n_flushed: int = 0
    pcm: bytes = b""
    asks: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


def words(text: str, start: float, step: float = 0.25) -> tuple[LiveWord, ...]:
    """Words of equal length, as Whisper writes them."""
    return tuple(
        LiveWord(text=f" {word}", start=start + n * step, end=start + (n + 1) * step,
                 probability=0.9)
        for n, word in enumerate(text.split())
    )  # fmt: skip


class ScriptedWorker:
    """
    Claims sessions and publishes what `script` gives for each entry of audio.

    Args:
        script: Takes a session and an entry, and gives the fields of updates. What is asked by
            the caller is answered without it, unless it gives something.
        capacity: How many sessions it takes; 0 publishes a worker that takes none.
    """

    def __init__(
        self,
        url: str,
        script: Callable[[Claimed, AudioEntry], Iterable[dict[str, Any]]] = lambda s, e: (),
        *,
        capacity: int = 4,
        claims: bool = True,
    ) -> None:
        self._redis = Redis.from_url(url)
        self._script = script
        self._claim = self._redis.register_script(CLAIM)
        self._publish = self._redis.register_script(PUBLISH)
        self._claims = claims
        self.capacity = capacity
        self.sessions: dict[str, Claimed] = {}
        self.seen: list[Claimed] = []
        self.reads = threading.Event()
        self.reads.set()
        self._stopping = threading.Event()
        self.publish_record()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def publish_record(self) -> None:
        """Publish this worker, as a real one does every few seconds."""
        models = ("demo", "tiny.en", "base")
        record = WorkerRecord(
            name="scripted", host="here", pid=1, engine="faster_whisper", device="cpu",
            compute_type="int8", models=models, loaded=models, slots=1, started_at=time.time(),
            live_sessions=self.capacity, diarizers=("diarization",),
            diarization_model="diarization",
        )  # fmt: skip
        Workers(self._redis).publish(record)

    def session(self, deadline_s: float = 10) -> Claimed:
        """The newest session, once there is one."""
        wait_until(lambda: self.sessions, deadline_s, "a session")
        return list(self.sessions.values())[-1]

    def stop(self) -> None:
        """End, without a word to anybody."""
        self._stopping.set()
        self._thread.join(5)
        self._redis.close()

    def say(self, claimed: Claimed, **fields: Any) -> int:
        """Publish an update; returns what the script in Redis does."""
        claimed.seq += 1
        committed = fields.get("committed", ())
        update = LiveUpdate(
            seq=claimed.seq,
            **{
                "n_before": claimed.n_words,
                "heard_s": claimed.heard / SAMPLE_RATE_HZ,
                "flushed": claimed.n_flushed,
            }
            | fields,
        )
        claimed.n_words = max(claimed.n_words, update.n_before + len(committed))
        kept = "1" if committed or update.ends else "0"
        last = "1" if update.is_last else "0"
        answer = self._publish(
            args=[claimed.id, claimed.epoch, 10, update.model_dump_json(), kept, "", claimed.heard,
                  last]
        )  # fmt: skip
        claimed.answers.append(int(answer))
        return int(answer)

    def _run(self) -> None:
        while not self._stopping.wait(0.01):
            if self._claims and (found := self._claim(args=["scripted", 10])):
                self._begin(found[0].decode(), int(found[1]))
            if self.reads.is_set():
                for claimed in list(self.sessions.values()):
                    self._read(claimed)

    def _begin(self, session_id: str, epoch: int) -> None:
        record = as_record(self._redis.hgetall(LIVE_SESSION.of(session_id)))
        request = LiveRequest.model_validate_json(record["request"])
        self.sessions[session_id] = claimed = Claimed(session_id, epoch, request)
        self.seen.append(claimed)
        self.say(claimed)

    def _read(self, claimed: Claimed) -> None:
        answer: Any = self._redis.xread({LIVE_AUDIO.of(claimed.id): claimed.last}, count=100)
        streams = answer.items() if isinstance(answer, dict) else answer
        for _name, entries in streams:
            flat = entries[0] if entries and isinstance(entries[0], list) else entries
            for entry_id, fields in flat:
                claimed.last = entry_id.decode()
                self._hear(claimed, AudioEntry.read(entry_id, fields))

    def _hear(self, claimed: Claimed, entry: AudioEntry) -> None:
        claimed.pcm += entry.pcm
        claimed.heard = entry.end
        if entry.ask:
            claimed.asks.append(entry.ask)
            claimed.n_flushed += entry.ask == "flush"
        said = list(self._script(claimed, entry))
        for fields in said:
            self.say(claimed, **fields)
        if entry.ask == "end":
            self.say(claimed, is_last=True)
            del self.sessions[claimed.id]
        elif not said:
            self.say(claimed)


def utterance(text: str, start: float, n_before: int = 0, **ending: Any) -> dict[str, Any]:
    """The fields of an update: somebody has said a sentence, and is silent."""
    said = words(text, start)
    end = SegmentEnd(n_words=n_before + len(said), reason="utterance", **ending)
    edges = (SpeechEdge(at=start, is_start=True), SpeechEdge(at=said[-1].end, is_start=False))
    return {"committed": said, "ends": (end,), "edges": edges}
