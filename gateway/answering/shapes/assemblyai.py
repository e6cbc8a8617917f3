"""What AssemblyAI's routes answer; times in milliseconds."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from gateway.answering.shapes.base import ClosedShape

Standing = Literal["queued", "processing", "completed", "error"]


class Uploaded(ClosedShape):
    """Where the audio is: for `audio_url`."""

    upload_url: str


@with_config(extra="forbid")
class SpokenWord(TypedDict):
    """A word; `speaker` is `A`, `B` …, or a name, `channel` a number with `multichannel`."""

    text: str
    start: int
    end: int
    confidence: float
    speaker: str | None
    channel: NotRequired[Annotated[str | None, Field(description="From 1, with `multichannel`.")]]


@with_config(extra="forbid")
class Spoken(SpokenWord):
    """What one person says: an utterance, a sentence or a paragraph."""

    words: list[SpokenWord]


class TranscriptWarning(ClosedShape):
    """What did not stop the transcript but should be known."""

    message: str


class TranscriptMetadata(ClosedShape):
    """The warnings of a transcript."""

    warnings: list[TranscriptWarning]


class TranscriptStanding(ClosedShape):
    """A transcript's status, text and options; its `id` is the job's."""

    id: str
    status: Standing
    error: str | None
    audio_url: str
    audio_duration: int = Field(description="In seconds.")
    language_code: str | None
    language_detection: bool
    language_confidence_threshold: float | None
    language_confidence: float | None
    punctuate: bool
    format_text: bool
    speaker_labels: bool
    speakers_expected: int | None
    speech_threshold: float | None
    speech_model: str | None = Field(description="The model in the request.")
    speech_model_used: str | None = Field(description="The model that ran.")
    prompt: str | None
    keyterms_prompt: list[str]
    word_boost: list[str]
    audio_start_from: int | None
    audio_end_at: int | None
    multichannel: bool
    webhook_url: str | None
    webhook_auth: bool
    text: str | None
    words: list[SpokenWord] | None
    utterances: list[Spoken] | None = Field(description="With `speaker_labels`.")
    confidence: float | None
    metadata: TranscriptMetadata | None = None


class PageDetails(ClosedShape):
    """Where a page is among the others."""

    limit: int
    result_count: int
    current_url: str
    prev_url: str | None = Field(description="URL of the page of older ones.")
    next_url: str | None = Field(description="URL of the page of newer ones.")


class TranscriptItem(ClosedShape):
    """One transcript of a page."""

    id: str
    resource_url: str
    status: Standing
    created: str
    completed: str | None
    audio_url: str
    error: str | None


class TranscriptPage(ClosedShape):
    """Some transcripts, newest first."""

    page_details: PageDetails
    transcripts: list[TranscriptItem]


class _Passages(ClosedShape):
    id: str
    confidence: float
    audio_duration: float = Field(description="In seconds.")


class Sentences(_Passages):
    """A transcript by its sentences."""

    sentences: list[Spoken]


class Paragraphs(_Passages):
    """A transcript by its paragraphs."""

    paragraphs: list[Spoken]


@with_config(extra="forbid")
class Match(TypedDict):
    """Where a word or phrase is said: start and end each time, and the index of its first word."""

    text: str
    count: int
    timestamps: list[list[int]]
    indexes: list[int]


class Matches(ClosedShape):
    """Where some words are said."""

    id: str
    total_count: int
    matches: list[Match]
