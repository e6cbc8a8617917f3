"""What the routes of the older systems answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.answering.shapes.segments import WhisperSegment


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OlderWord(_Shape):
    """A word and when it is spoken, in seconds."""

    word: str
    start: float
    end: float
    probability: float
    speaker: str | None = None


class OlderSegment(WhisperSegment):
    """A phrase with all that Whisper says of it; times in seconds, `seek` in frames of 10 ms."""

    words: list[OlderWord] | None = Field(None, description="Where `word_timestamps` asked.")
    speaker: str | None = Field(None, description="In every segment where `diarize` asked.")
    language: str | None = Field(None, description="Where each chunk had its own detected.")
    chars: list[dict[str, Any]] | None = Field(
        None, description="Times of characters, where `return_char_alignments` asked."
    )


class OlderInfo(_Shape):
    """What is known of the audio; durations in seconds."""

    language: str
    language_probability: float
    duration: float
    duration_after_vad: float
    transcription_options: dict[str, Any]


class OlderTimeSpan(_Shape):
    """A part of the audio, in seconds."""

    start: float
    end: float


class OlderWarning(_Shape):
    """Something that did not stop the transcript but should be known."""

    code: str
    message: str
    spans: list[OlderTimeSpan] | None = Field(None, description="Of `speech_without_text`: where.")


class OlderTranscript(_Shape):
    """The whole result."""

    success: Literal[True]
    job_id: str
    status: Literal["succeeded"]
    task: Literal["transcribe", "translate"]
    text: str
    language: str
    segments: list[OlderSegment]
    turns: list[dict[str, Any]] | None = Field(None, description="Who speaks when.")
    speaker_embeddings: dict[str, list[float]] | None = None
    info: OlderInfo
    filename: str
    model: str = Field(description="The model that ran, whatever name it was asked by.")
    process_time: float | None = Field(description="Seconds from the job's start to its end.")
    warnings: list[OlderWarning]


class WhispersSegment(WhisperSegment):
    """A segment of openai-whisper's result."""

    words: list[dict[str, Any]] | None = None


class WhispersResult(_Shape):
    """The result of openai-whisper; with `detail=text` the text alone."""

    text: str
    segments: list[WhispersSegment] | None = None
    language: str | None = None


class Recognised(WhispersResult):
    """The result, and once more under `transcription` unless `envelope=0`."""

    success: Literal[True]
    job_id: str
    transcription: WhispersResult | None = None


class DetectedLanguage(_Shape):
    """The language of the first 30 s."""

    success: Literal[True]
    job_id: str
    detected_language: str = Field(description="Its English name, as Whisper has it.")
    language_code: str
    confidence: float


class OlderAccepted(_Shape):
    """A job that was made."""

    model_config = ConfigDict(extra="allow")

    success: Literal[True]
    job_id: str
    status: str
    status_url: str
    result_url: str


class OlderStatus(_Shape):
    """A job as `GET /jobs/{job_id}` tells of it, with its result once it has one."""

    model_config = ConfigDict(extra="allow")

    success: Literal[True]
    job_id: str
    status: str
    progress: float
    error: dict[str, Any] | None
    result: OlderTranscript | None


class QueueStats(_Shape):
    """What waits, runs and ended."""

    success: Literal[True]
    queue_name: str
    queued: int
    running: int
    succeeded: int = Field(description="Since the site's Redis was new, as the two below.")
    failed: int
    cancelled: int
    workers: int
    slots: int = Field(description="Jobs that all workers together may work on at a time.")
