"""What a session has said, and what of it is new since the last update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from shared.chinese import CHINESE
from shared.chinese_text import convert_text
from shared.live.request import LiveRequest
from shared.live.updates import LiveUpdate, LiveWord, SegmentEnd, SpeechEdge
from worker.engines.timed_words import TimedWord
from worker.live.buffer import KeptWord

_PROMPT_CHARACTERS = 120
"""How much of what was said is given to the model before the audio."""

_LONG_SEGMENT_S = 15.0

Reason = Literal["utterance", "sentence", "flush"]


class Said:
    """
    Committed words, which are counted, and ends of segments.

    Args:
        known: Of a session that goes on: see `state`.

    Attributes:
        tail: What is said after the committed words, by the newest hypothesis.
    """

    def __init__(self, request: LiveRequest, known: dict[str, Any] | None) -> None:
        known = known or {}
        self._chinese = request.chinese if request.task == "transcribe" else "none"
        self._text: str = known.get("text", request.prompt or "")
        self._open: str = known.get("open", "")
        self._n_words: int = known.get("n_words", 0)
        self._n_ended: int = known.get("n_ended", 0)
        self._ended_s: float = known.get("ended_s", 0.0)
        self._began_s: float = known.get("began_s", 0.0)
        self._n_flushed: int = known.get("n_flushed", 0)
        self.language: str | None = None
        self._told: tuple[str, float] | None = None
        self.tail: tuple[LiveWord, ...] = ()
        self._committed: list[LiveWord] = []
        self._ends: list[SegmentEnd] = []
        self._edges: list[SpeechEdge] = []

    def state(self) -> dict[str, Any]:
        """What another object needs to go on, as JSON."""
        return {
            "text": self._text,
            "open": self._open,
            "n_words": self._n_words,
            "n_ended": self._n_ended,
            "ended_s": self._ended_s,
            "began_s": self._began_s,
            "n_flushed": self._n_flushed,
        }

    def before(self, kept: Sequence[KeptWord]) -> str:
        """The end of the text before the audio of some words, which are the newest."""
        n_kept = sum(len(word.text) for word in kept)
        return self._text[: len(self._text) - n_kept][-_PROMPT_CHARACTERS:]

    def commit(self, words: Sequence[TimedWord], start_s: float, language: str | None) -> None:
        """
        Add words, which will not change any more.

        Args:
            start_s: Where the audio begins from which the times of words count.
        """
        for word in self._live_words(words, start_s, language, after=self._open):
            start = max(word.start, self._ended_s)
            timed = word.model_copy(update={"start": start, "end": max(word.end, start)})
            if self._n_words == self._n_ended:
                self._began_s = timed.start
            self._committed.append(timed)
            self._n_words += 1
            self._ended_s = timed.end
        spoken = "".join(word.word for word in words)
        self._open += spoken
        self._text = (self._text + spoken)[-10 * _PROMPT_CHARACTERS :]

    def show(self, words: Sequence[TimedWord], start_s: float, language: str | None) -> None:
        """Set the tail."""
        self.tail = tuple(self._live_words(words, start_s, language, after=self._open))

    def end_segment(self, reason: Reason, language: str | None, n_after: int = 0) -> None:
        """
        End the open segment, if it has words.

        Args:
            n_after: How many of the newest words belong to the next one.
        """
        n_words = self._n_words - n_after
        if n_words <= self._n_ended:
            return
        self._ends.append(SegmentEnd(n_words=n_words, reason=reason, language=language))
        self._n_ended, self._began_s = n_words, self._ended_s
        self._open = ""

    def end_long_segment(self, language: str | None, n_after: int) -> None:
        """End the open segment if it is long: somebody speaks without an end of a sentence."""
        if self._ended_s - self._began_s > _LONG_SEGMENT_S:
            self.end_segment("sentence", language, n_after)

    def mark(self, at_s: float, *, is_start: bool) -> None:
        """Note that speech begins or has ended."""
        self._edges.append(SpeechEdge(at=round(at_s, 3), is_start=is_start))

    def tell_language(self, language: str, probability: float) -> None:
        """Note the language, which is certain now."""
        self._told = language, probability

    def count_flush(self) -> None:
        """Note that all audio before a flush is committed."""
        self._n_flushed += 1

    def update(self, heard_s: float) -> LiveUpdate:
        """What is new."""
        language, probability = self._told or (None, 1.0)
        update = LiveUpdate(
            seq=0,
            heard_s=round(heard_s, 3),
            n_before=self._n_words - len(self._committed),
            committed=tuple(self._committed),
            ends=tuple(self._ends),
            tail=self.tail,
            edges=tuple(self._edges),
            language=language,
            language_probability=probability,
            flushed=self._n_flushed,
        )
        self._committed, self._ends, self._edges, self._told = [], [], [], None
        return update

    def _live_words(
        self, words: Sequence[TimedWord], start_s: float, language: str | None, after: str
    ) -> list[LiveWord]:
        """Words in the script that was asked for; how one is written may depend on those before."""
        texts = [word.word for word in words]
        if self._chinese != "none" and language in CHINESE:
            texts = _converted(after, texts, self._chinese)
        return [
            LiveWord(
                text=text,
                start=round(start_s + word.start, 3),
                end=round(start_s + word.end, 3),
                probability=round(word.probability, 4),
            )
            for text, word in zip(texts, words, strict=True)
        ]


def _converted(before: str, texts: Sequence[str], variant: str) -> list[str]:
    """
    Words in another script, as they are written after a text.

    >>> _converted("头", ["发", "很"], "s2tw")
    ['髮', '很']
    """
    whole = convert_text(before + "".join(texts), variant)
    converted, at = [], len(before)
    for text in texts:
        converted.append(whole.between(at, at + len(text)))
        at += len(text)
    return converted
