"""Utterances as Realtime has them: items, which begin, are committed, and get their text."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.live.protocols.realtime.events import (
    Event,
    completed,
    created,
    delta,
    event,
    failed,
    new_id,
)
from shared.live.updates import LiveWord, SpeechEdge


@dataclass
class _Turn:
    """
    One item.

    Attributes:
        start_s, end_s: Of its audio, in seconds of the session; `end_s` is None while it is open.
        from_s: Words in the middle before this are no part of it: the client cleared them.
        flush: Its words are all there once so many flushes are done; 0 if they are there when it
            has ended.
        is_told: Whether the client knows that somebody speaks.
    """

    start_s: float
    from_s: float
    end_s: float | None = None
    flush: int = 0
    is_told: bool = False
    id: str = field(default_factory=lambda: new_id("item"))
    words: list[LiveWord] = field(default_factory=list)
    text: str = ""


class Turns:
    """
    The items of one session. Each method gives the events that the client is to be sent.

    Args:
        detects: Whether silence ends an item; else only the client does.
    """

    def __init__(self, *, detects: bool, has_logprobs: bool, is_beta: bool) -> None:
        self._detects, self._has_logprobs, self._is_beta = detects, has_logprobs, is_beta
        self._turns: deque[_Turn] = deque()
        self._words: deque[LiveWord] = deque()
        self._from_s = 0.0
        self._last_id: str | None = None

    def hear(
        self, words: Sequence[LiveWord], edges: Sequence[SpeechEdge], n_flushed: int
    ) -> list[Event]:
        """
        Take what a worker says.

        Args:
            words: Committed since the call before.
            edges: Where speech begins and ends.
            n_flushed: The number of the newest flush that is done.
        """
        self._words.extend(words)
        found: list[Event] = []
        for edge in edges if self._detects else ():
            found += self._begin(edge.at) if edge.is_start else self._stop(edge.at)
        if self._detects and self._unclaimed():
            # Speech that goes on after a `commit` has no beginning of its own.
            found += self._begin(max(self._unclaimed()[0].start, self._from_s))
        return found + self.settle(n_flushed)

    def commit(self, at_s: float, flush: int) -> list[Event]:
        """The client commits its audio up to a time; a flush with this number was asked for."""
        turn = self._open_turn()
        if turn is None:
            turn = _Turn(self._from_s, self._from_s)
            self._turns.append(turn)
        turn.end_s, turn.flush, self._from_s = at_s, flush, at_s
        return self._stopped(turn) + self._committed(turn)

    def clear(self, at_s: float) -> list[Event]:
        """The client throws away its audio up to a time, but for what is committed."""
        self._from_s = at_s
        if (turn := self._open_turn()) is not None:
            turn.from_s = at_s
        return [event("input_audio_buffer.cleared")]

    def settle(self, n_flushed: int) -> list[Event]:
        """Give each item its words, and complete those that have all of them."""
        found: list[Event] = []
        while self._turns:
            turn = self._turns[0]
            found += self._give(turn)
            if turn.end_s is None or turn.flush > n_flushed:
                break
            self._turns.popleft()
            length_s = max(turn.end_s - turn.start_s, 0.0)
            found.append(
                completed(
                    turn.id, turn.text.strip(), turn.words, length_s,
                    has_logprobs=self._has_logprobs,
                )
            )  # fmt: skip
        return found

    def fail(self, problem: str) -> list[Event]:
        """The session is lost: no item that is left will be completed."""
        found = [failed(turn.id, problem) for turn in self._turns]
        self._turns.clear()
        return found

    def _open_turn(self) -> _Turn | None:
        last = self._turns[-1] if self._turns else None
        return last if last is not None and last.end_s is None else None

    def _begin(self, at_s: float) -> list[Event]:
        # What began before the audio was committed or cleared may be told only afterwards.
        if self._open_turn() is not None or at_s < self._from_s:
            return []
        turn = _Turn(at_s, self._from_s, is_told=True)
        self._turns.append(turn)
        start_ms = round(at_s * 1000)
        kind = "input_audio_buffer.speech_started"
        return [event(kind, item_id=turn.id, audio_start_ms=start_ms)]

    def _stop(self, at_s: float) -> list[Event]:
        found: list[Event] = []
        turn = self._open_turn()
        if turn is None and (words := self._unclaimed()):
            found = self._begin(max(words[0].start, self._from_s))
            turn = self._open_turn()
        if turn is None:
            return []
        turn.end_s = at_s
        return found + self._stopped(turn) + self._committed(turn)

    def _stopped(self, turn: _Turn) -> list[Event]:
        if not turn.is_told:
            return []
        end_ms = round((turn.end_s or 0.0) * 1000)
        kind = "input_audio_buffer.speech_stopped"
        return [event(kind, item_id=turn.id, audio_end_ms=end_ms)]

    def _committed(self, turn: _Turn) -> list[Event]:
        before, self._last_id = self._last_id, turn.id
        kind = "input_audio_buffer.committed"
        first = event(kind, item_id=turn.id, previous_item_id=before)
        return [first, *created(turn.id, before, is_beta=self._is_beta)]

    def _unclaimed(self) -> list[LiveWord]:
        """Words that belong to no item."""
        if self._open_turn() is not None:
            return []
        end_s = self._limit_s(len(self._turns) - 1) if self._turns else -math.inf
        return [word for word in self._words if _middle(word) >= max(end_s, self._from_s)]

    def _limit_s(self, n: int) -> float:
        """Words in the middle before this time belong to an item, or to one before it."""
        turn = self._turns[n]
        if turn.flush:
            return turn.end_s or 0.0
        return self._turns[n + 1].start_s if n + 1 < len(self._turns) else math.inf

    def _give(self, turn: _Turn) -> list[Event]:
        """Give the first item the words that are there for it."""
        limit_s, fresh = self._limit_s(0), []
        while self._words and _middle(self._words[0]) < limit_s:
            word = self._words.popleft()
            if _middle(word) >= turn.from_s:
                fresh.append(word)
        if not fresh:
            return []
        text = "".join(word.text for word in fresh)
        text = text if turn.text else text.lstrip()
        turn.text += text
        turn.words += fresh
        return [delta(turn.id, text, fresh, has_logprobs=self._has_logprobs)]


def _middle(word: LiveWord) -> float:
    return (word.start + word.end) / 2
