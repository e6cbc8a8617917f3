"""What a worker says about a live session: words as they are heard, and segments as they end."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class LiveWord(_Value):
    """
    One word, with the punctuation that belongs to it.

    Attributes:
        text: As Whisper writes it: English words begin with a space.
        start, end: Seconds from the start of the session's audio.
        probability: From 0 to 1.
    """

    text: str
    start: float
    end: float
    probability: float


class SegmentEnd(_Value):
    """
    The words that were committed since the last such end are one segment.

    Attributes:
        n_words: How many words of the session are committed up to here. Never fewer than at the
            end before, so a segment has one word or more.
        reason: `utterance`: silence followed. `sentence`: the speaker goes on. `flush`: the
            caller asked for what there is.
        speaker: A label such as `SPEAKER_00`; None if it is not known or was not asked for.
        language: A Whisper code.
        translation: The text in English, if that was asked for.
    """

    n_words: int
    reason: Literal["utterance", "sentence", "flush"]
    language: str | None = None
    speaker: str | None = None
    translation: str | None = None


class SpeechEdge(_Value):
    """Somebody begins to speak, or has stopped; `at` is seconds from the start of the audio."""

    at: float
    is_start: bool


class LiveUpdate(_Value):
    """
    What is new since the update before.

    Attributes:
        seq: The number of the update, from 1. After Redis has lost its last second, a number may
            come again.
        heard_s: Seconds of audio that are dealt with.
        n_before: How many words were committed before `committed`. A reader who has more of them
            already skips so many of `committed`.
        committed: Words that will not change any more.
        ends: Ends of segments, in order.
        tail: What seems to be said after the committed words. It replaces the tail before.
        edges: Where speech begins and ends.
        language: The language, from the update on in which it is certain; a Whisper code.
        language_probability: From 0 to 1; 1 for a language that was asked for.
        flushed: The number of the newest flush that is done: all audio before it is committed.
        is_last: Whether the session has ended.
        problem: Why it ended early, for the caller to read.
    """

    seq: int
    heard_s: float
    n_before: int = 0
    committed: tuple[LiveWord, ...] = ()
    ends: tuple[SegmentEnd, ...] = ()
    tail: tuple[LiveWord, ...] = ()
    edges: tuple[SpeechEdge, ...] = ()
    language: str | None = None
    language_probability: float = 1.0
    flushed: int = 0
    is_last: bool = False
    problem: str | None = None
