"""Feeds streams to the live service of a worker, without Redis, on a clock made of CPU time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from bench.evaluation.heard import Part
from bench.evaluation.systems import weights_of
from bench.live.measure import Measured, Seen, measure
from bench.live.streams import Stream
from shared.live.request import LiveRequest
from worker.audio.constants import N_SAMPLES, SAMPLE_RATE_HZ
from worker.engines.faster_whisper import FasterWhisperEngine
from worker.engines.live_decoder import LiveDecoder, LiveTask
from worker.live.messages import LiveAnswer, LiveFeed
from worker.live.service import LiveService

_CHUNK = SAMPLE_RATE_HZ // 10
_N_REFERENCES = 5


class OneModel:
    """A model on one core, as the live service takes it: see `LiveModels`."""

    def __init__(self, name: str) -> None:
        self._engine = FasterWhisperEngine(
            weights_of(name), device="cpu", compute_type="int8", threads=1
        )

    @cached_property
    def _decoder(self) -> LiveDecoder:
        return self._engine.live_decoder()

    def live_decoder(self, name: str) -> LiveDecoder:
        """The decoder, whatever the name."""
        return self._decoder

    def reference_s(self) -> float:
        """CPU seconds to encode 30 s of audio: the shortest of a few times."""
        task = LiveTask(np.zeros(N_SAMPLES, np.float32), "en")
        self._decoder.encode(task)
        return min(_cpu_of(self._decoder, task) for _ in range(_N_REFERENCES))


def _cpu_of(decoder: LiveDecoder, task: LiveTask) -> float:
    before = time.process_time()
    decoder.encode(task)
    return time.process_time() - before


@dataclass
class _Session:
    """One stream that is being fed, and what was seen of it."""

    name: str
    stream: Stream
    begins_s: float
    pcm: bytes
    n_fed: int = 0
    is_done: bool = False
    words: list[Part] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def feed(self, now_s: float) -> LiveFeed | None:
        """What has been spoken since the last feed, in whole chunks; None if nothing has."""
        n_all = len(self.pcm) // 2
        n_spoken = int((now_s - self.begins_s + 1e-6) * SAMPLE_RATE_HZ)
        n_spoken = n_all if n_spoken >= n_all else n_spoken // _CHUNK * _CHUNK
        if self.is_done or n_spoken <= self.n_fed:
            return None
        start, self.n_fed = self.n_fed, n_spoken
        self.is_done = n_spoken == n_all
        asks = ((n_all, "end"),) if self.is_done else ()
        return LiveFeed(self.name, start, self.pcm[2 * start : 2 * n_spoken], asks)

    def take(self, answer: LiveAnswer, now_s: float) -> None:
        """Note what is seen now."""
        self.words += [Part(w.text, w.start, w.end) for w in answer.update.committed]
        committed = "".join(word.text for word in self.words)
        shown = committed + "".join(word.text for word in answer.update.tail)
        now = Seen(now_s - self.begins_s, committed, shown)
        before = self.seen[-1] if self.seen else None
        if before is None or (before.committed, before.shown) != (committed, shown):
            self.seen.append(now)

    def next_s(self) -> float:
        """When the next chunk will have been spoken."""
        n = min(self.n_fed + _CHUNK, len(self.pcm) // 2)
        return self.begins_s + n / SAMPLE_RATE_HZ


def run_together(
    models: OneModel, streams: list[Stream], request: LiveRequest, scale: float
) -> Iterator[Measured]:
    """
    Feed streams at the speed of speech, all at the same time on one core; measure each.

    The clock advances by the CPU time of each feed, and else to when the next audio comes.

    Args:
        scale: CPU seconds of this machine at this moment for each second of the clock.
    """
    service = LiveService(models)
    sessions = [_Session(str(n), stream, n * 0.137, stream.pcm) for n, stream in enumerate(streams)]
    for session in sessions:
        service.open(session.name, request.model_dump_json(), None)
    now_s, cpu_s = 0.0, 0.0
    while any(not session.is_done for session in sessions):
        feeds = [feed for session in sessions if (feed := session.feed(now_s)) is not None]
        if not feeds:
            now_s = min(session.next_s() for session in sessions if not session.is_done)
            continue
        before = time.process_time()
        answers = [answer for feed in feeds if (answer := service.feed(feed)) is not None]
        took_s = time.process_time() - before
        now_s, cpu_s = now_s + took_s / scale, cpu_s + took_s
        for answer in answers:
            sessions[int(answer.session_id)].take(answer, now_s)
    for session in sessions:
        stream = session.stream
        found = measure(stream.words, session.seen, stream.duration_s, session.words)
        found.cpu_s = cpu_s / len(sessions)
        yield found
