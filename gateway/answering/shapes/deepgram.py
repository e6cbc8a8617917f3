"""What Deepgram's route answers; times in seconds."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ListenWord(_Shape):
    """A word in small letters, and as it is written."""

    word: str
    start: float
    end: float
    confidence: float
    speaker: int | None = Field(None, description="From 0, where it was asked who speaks.")
    punctuated_word: str | None = None


class ListenSentence(_Shape):
    """A sentence of a paragraph."""

    text: str
    start: float
    end: float


class ListenParagraph(_Shape):
    """Some sentences of one speaker."""

    sentences: list[ListenSentence]
    num_words: int
    start: float
    end: float
    speaker: int | None = None


class ListenParagraphs(_Shape):
    """`paragraphs=true` or `smart_format=true`."""

    transcript: str
    paragraphs: list[ListenParagraph]


class ListenAlternative(_Shape):
    """The text, and its words."""

    transcript: str
    confidence: float
    words: list[ListenWord]
    paragraphs: ListenParagraphs | None = None


class ListenChannel(_Shape):
    """One channel of the recording."""

    alternatives: list[ListenAlternative]
    detected_language: str | None = Field(None, description="`detect_language=true`.")
    language_confidence: float | None = None


class ListenUtterance(_Shape):
    """`utterances=true`: what one person says between two pauses."""

    start: float
    end: float
    confidence: float
    channel: int
    transcript: str
    words: list[ListenWord]
    speaker: int | None = None
    id: str


class ListenWarning(_Shape):
    """What did not stop the transcript but should be known."""

    parameter: str
    type: str
    message: str


class ListenMetadata(_Shape):
    """What is known of the recording and of how it was done; `request_id` is the job's id."""

    transaction_key: str
    request_id: str
    sha256: str
    created: str
    duration: float
    channels: int
    models: list[str]
    model_info: dict[str, dict[str, Any]]
    tags: list[str] | None = None
    extra: dict[str, str] | None = None
    warnings: list[ListenWarning] | None = None


class ListenResults(_Shape):
    """What is said."""

    channels: list[ListenChannel]
    utterances: list[ListenUtterance] | None = None


class Listened(_Shape):
    """A transcript."""

    metadata: ListenMetadata
    results: ListenResults


class ListenAccepted(_Shape):
    """With `callback`: the transcript goes there."""

    request_id: str


class ListenAnswer(RootModel[Listened | ListenAccepted]):
    """The transcript, or where it goes elsewhere the name of the request."""
