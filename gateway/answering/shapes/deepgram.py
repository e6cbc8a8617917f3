"""What Deepgram's route answers; times in seconds."""

from __future__ import annotations

from typing import Any, NotRequired

from pydantic import Field, RootModel, with_config
from typing_extensions import TypedDict

from gateway.answering.shapes.base import ClosedShape


@with_config(extra="forbid")
class ListenWord(TypedDict):
    """A word in small letters, and as it is written; `speaker` is a number from 0."""

    word: str
    start: float
    end: float
    confidence: float
    speaker: NotRequired[int]
    punctuated_word: NotRequired[str]


@with_config(extra="forbid")
class ListenSentence(TypedDict):
    """A sentence of a paragraph."""

    text: str
    start: float
    end: float


class ListenParagraph(ClosedShape):
    """Some sentences of one speaker."""

    sentences: list[ListenSentence]
    num_words: int
    start: float
    end: float
    speaker: int | None = None


class ListenParagraphs(ClosedShape):
    """`paragraphs=true` or `smart_format=true`."""

    transcript: str
    paragraphs: list[ListenParagraph]


class ListenAlternative(ClosedShape):
    """The text, and its words."""

    transcript: str
    confidence: float
    words: list[ListenWord]
    paragraphs: ListenParagraphs | None = None


class ListenChannel(ClosedShape):
    """One channel of the recording."""

    alternatives: list[ListenAlternative]
    detected_language: str | None = Field(None, description="With `detect_language=true`.")
    language_confidence: float | None = None


class ListenUtterance(ClosedShape):
    """`utterances=true`: what one person says between two pauses."""

    start: float
    end: float
    confidence: float
    channel: int
    transcript: str
    words: list[ListenWord]
    speaker: int | None = None
    id: str


class ListenWarning(ClosedShape):
    """What did not stop the transcript but should be known."""

    parameter: str
    type: str
    message: str


class ListenMetadata(ClosedShape):
    """What is known of the recording and of how it was done; `request_id` is the job's id."""

    transaction_key: str
    request_id: str
    sha256: str
    created: str
    duration: float
    models: list[str]
    model_info: dict[str, dict[str, Any]]
    tags: list[str] | None = None
    extra: dict[str, str] | None = None
    warnings: list[ListenWarning] | None = None
    channels: int


class ListenResults(ClosedShape):
    """What is said."""

    channels: list[ListenChannel]
    utterances: list[ListenUtterance] | None = None


class Listened(ClosedShape):
    """A transcript."""

    metadata: ListenMetadata
    results: ListenResults


class ListenAccepted(ClosedShape):
    """With `callback`: the transcript goes there."""

    request_id: str


class ListenAnswer(RootModel[Listened | ListenAccepted]):
    """The transcript; with `callback`, the id of the request."""
