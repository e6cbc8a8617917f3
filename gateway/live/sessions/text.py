"""What was said in a live session so far: its segments, and the words after them."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.live.updates import LiveUpdate, LiveWord, SegmentEnd


@dataclass(frozen=True)
class LiveSegment:
    """
    One phrase that has ended. It does not change any more.

    Attributes:
        number: From 0, in the order of the session.
        words: At least one.
        ending: Why it ended, and what the worker knows about it.
    """

    number: int
    words: tuple[LiveWord, ...]
    ending: SegmentEnd

    @property
    def start(self) -> float:
        """Seconds from the start of the session's audio."""
        return self.words[0].start

    @property
    def end(self) -> float:
        """Seconds from the start of the session's audio."""
        return self.words[-1].end

    @property
    def text(self) -> str:
        """Its text, without a space at either end."""
        return joined(self.words)


@dataclass
class LiveText:
    """
    The text of one session.

    Attributes:
        segments: Those that have ended.
        open_words: Committed words after the last segment.
        tail: What seems to be said after these; each update replaces it.
        language: None until it is certain.
        heard_s: Seconds of audio that are dealt with.
        flushed: The number of the newest flush that is done.
    """

    segments: list[LiveSegment] = field(default_factory=list)
    open_words: tuple[LiveWord, ...] = ()
    tail: tuple[LiveWord, ...] = ()
    language: str | None = None
    language_probability: float = 0.0
    heard_s: float = 0.0
    flushed: int = 0
    _n_ended: int = 0

    @property
    def n_words(self) -> int:
        """How many words are committed."""
        return self._n_ended + len(self.open_words)

    def apply(self, update: LiveUpdate) -> LiveUpdate:
        """
        Take in an update.

        Returns:
            The update without what was known already: after a failure, a worker may say again what
            the one before it has said.
        """
        fresh = update.committed[max(0, self.n_words - update.n_before) :]
        ends = tuple(end for end in update.ends if end.n_words > self._n_ended)
        self.open_words += fresh
        for ending in ends:
            self._end_segment(ending)
        self.tail = update.tail
        self.heard_s = max(self.heard_s, update.heard_s)
        self.flushed = max(self.flushed, update.flushed)
        if update.language:
            self.language, self.language_probability = update.language, update.language_probability
        return update.model_copy(update={"committed": fresh, "ends": ends})

    def _end_segment(self, ending: SegmentEnd) -> None:
        n_words = ending.n_words - self._n_ended
        words, self.open_words = self.open_words[:n_words], self.open_words[n_words:]
        if words:
            self._n_ended += len(words)
            self.segments.append(LiveSegment(len(self.segments), words, ending))


def joined(words: tuple[LiveWord, ...]) -> str:
    """The text of some words, without a space at either end."""
    return "".join(word.text for word in words).strip()
