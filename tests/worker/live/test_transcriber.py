"""A live session commits each word once; the model is one that hears all that was said so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from shared.live.request import LiveRequest
from shared.live.updates import LiveUpdate
from worker.engines.base import Guess
from worker.engines.live_decoder import Hypothesis, LiveTask
from worker.engines.timed_words import TimedWord
from worker.live import transcriber as module
from worker.live.messages import LiveAnswer, LiveFeed
from worker.live.policy import Heard
from worker.live.transcriber import Transcriber
from worker.speech.voice_activity import WINDOW

BLOCK = 1_600
"""The value of a sample tells which block of 0.1 s of the session it is of, from 1."""

SENTENCES = "One two three four. Five six seven eight nine ten eleven twelve. Thirteen"
WORD_S = 0.4
TRUTH = [
    (f" {text}", 0.5 + n * WORD_S, 0.4 + (n + 1) * WORD_S)
    for n, text in enumerate(SENTENCES.split())
]
ENDS_S = TRUTH[-1][2]


class Voice:
    """Hears speech where words are said."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.float32)

    def hear(self, samples: np.ndarray) -> list[float]:
        joined = np.concatenate([self._rest, samples])
        n = len(joined) // WINDOW
        self._rest = joined[n * WINDOW :]
        return [float(0.5 <= joined[k * WINDOW] * 32768 * 0.1 - 0.1 < ENDS_S) for k in range(n)]


class Decoder:
    """The tokens of a word: its place in `TRUTH`."""

    is_multilingual = False

    def encode_text(self, text: str) -> tuple[int, ...]:
        return ()

    def decode_text(self, tokens: Sequence[int]) -> str:
        return "".join(TRUTH[token][0] for token in tokens)


@dataclass
class Caller:
    """Feeds a session, and keeps what it says."""

    request: LiveRequest = field(default_factory=lambda: LiveRequest(model="base", language="en"))
    state: str | None = None
    probability: float = 0.9
    updates: list[LiveUpdate] = field(default_factory=list)
    answers: list[LiveAnswer] = field(default_factory=list)

    def __post_init__(self) -> None:
        decoder: Any = Decoder()
        self.session = Transcriber("s", self.request, decoder, self.state)

    def feed(self, start: int, end: int, ask: str = "") -> None:
        pcm = (np.arange(start, end) // BLOCK + 1).astype("<i2").tobytes()
        asks = ((end, ask),) if ask else ()
        asking = self.session.hear(LiveFeed("s", start, pcm, asks))
        heard: Any = None
        while True:
            try:
                task = asking.send(heard)
            except StopIteration:
                break
            heard = self.hears(task)
        self.answers.append(self.session.answer())
        self.updates.append(self.answers[-1].update)

    def hears(self, task: LiveTask) -> Heard:
        first_s = (round(float(task.waveform[0]) * 32768) - 1) * 0.1
        last_s = first_s + task.duration_s
        prefix = list(task.prefix)
        after = prefix[-1] + 1 if prefix else 0
        tokens = prefix + [
            n for n, (_, start, end) in enumerate(TRUTH)
            if n >= after and start >= first_s - 0.11 and end <= last_s
        ]  # fmt: skip
        words = [
            TimedWord(
                TRUTH[n][0], 1, max(0.0, TRUTH[n][1] - first_s), TRUTH[n][2] - first_s,
                self.probability,
            )
            for n in tokens
        ]  # fmt: skip
        return Heard(Hypothesis(tuple(tokens), Guess("en", 1.0), 0.0), tuple(words))

    @property
    def committed(self) -> list[str]:
        return [word.text for update in self.updates for word in update.committed]


@pytest.fixture(autouse=True)
def voice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VoiceStream", Voice)


def speak(caller: Caller, first: int = 0, last_s: float = ENDS_S + 1.0) -> None:
    for start in range(first, round(last_s * 16_000), BLOCK):
        caller.feed(start, start + BLOCK)


def test_each_word_is_committed_once_and_in_order() -> None:
    caller = Caller()
    speak(caller)
    assert caller.committed == [text for text, _, _ in TRUTH]
    n_before = 0
    for update in caller.updates:
        assert update.n_before == n_before
        n_before += len(update.committed)


def test_words_are_committed_while_somebody_speaks() -> None:
    caller = Caller()
    speak(caller, last_s=ENDS_S)
    assert len(caller.committed) >= len(TRUTH) - 4


def test_silence_ends_a_segment_and_a_sentence_within_speech_does_too() -> None:
    caller = Caller()
    speak(caller)
    ends = [end for update in caller.updates for end in update.ends]
    assert [(end.n_words, end.reason) for end in ends] == [(4, "sentence"), (13, "utterance")]
    edges = [edge.is_start for update in caller.updates for edge in update.edges]
    assert edges == [True, False]


@pytest.mark.parametrize("broken_s", [0.3, 1.7, 2.9, 4.1, 5.5])
def test_a_session_that_goes_on_elsewhere_says_each_word_once(broken_s: float) -> None:
    caller = Caller()
    speak(caller, last_s=broken_s)
    last = caller.answers[-1]
    other = Caller(state=last.state)
    speak(other, first=last.position // BLOCK * BLOCK)
    assert caller.committed + other.committed == [text for text, _, _ in TRUTH]
    assert other.updates[0].n_before == len(caller.committed)


def test_a_flush_commits_what_was_said_and_is_counted() -> None:
    caller = Caller()
    caller.feed(0, 32_000)
    caller.feed(32_000, 33_600, "flush")
    n_said = sum(end <= 2.1 for _, _, end in TRUTH)
    assert caller.committed == [text for text, _, _ in TRUTH[:n_said]]
    assert caller.updates[-1].flushed == 1
    assert caller.updates[-1].ends[-1].reason == "flush"


def test_high_delay_commits_later_than_low_delay() -> None:
    counts = {}
    for delay in ("low", "high"):
        caller = Caller(LiveRequest(model="base", language="en", delay=delay))
        speak(caller, last_s=4.0)
        counts[delay] = len(caller.committed)
    assert counts["low"] > counts["high"]


def test_an_improbable_word_is_not_shown_while_it_is_being_said() -> None:
    shown = []
    for probability in (0.9, 0.2):
        caller = Caller(probability=probability)
        speak(caller, last_s=2.6)
        shown.append({word.text for update in caller.updates for word in update.tail})
    assert shown[0] - shown[1] == {TRUTH[3][0]}
