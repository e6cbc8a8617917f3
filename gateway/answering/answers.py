"""Jobs and transcripts as native routes write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar, cast, overload

from flask import Response, jsonify

from gateway.answering.shapes.jobs import Accepted, ErrorShown, Facts, JobShown, TranscriptAnswer
from gateway.answering.warned import warnings_value
from shared.chinese import Variant, convert
from shared.errors import JobCancelled, JobNotFound, LonghandError, error_from_value
from shared.formats import segment_values, speaker_values, tidy
from shared.jobs import Jobs
from shared.records import JobRecord, Status
from shared.speaker_names import rename_speakers
from shared.storage import KeyNotFound
from shared.transcript import Transcript

Whole = TypeVar("Whole", bound=TranscriptAnswer)


def job_links(job_id: str) -> dict[str, str]:
    """Where a job and its result are found."""
    return {"status_url": f"/jobs/{job_id}", "result_url": f"/jobs/{job_id}/result"}


def answer_accepted(record: JobRecord) -> Response:
    """The answer 202: the job was accepted, and this is its id."""
    accepted = Accepted(
        success=True, job_id=record.id, status=record.status, **job_links(record.id)
    )
    answer = jsonify(accepted.value())
    answer.status_code = 202
    answer.headers["Location"] = f"/jobs/{record.id}"
    return answer


def job_shown(record: JobRecord) -> JobShown:
    """A job's record, as its caller may see it."""
    return JobShown(
        job_id=record.id,
        status=record.status,
        stage=record.stage,
        progress=round(record.progress, 4),
        audio_done_s=round(record.audio_done_s, 3),
        created_at=as_rfc3339(record.created_at),
        started_at=as_rfc3339(record.started_at),
        ended_at=as_rfc3339(record.ended_at),
        attempt=record.attempt,
        label=record.label,
        priority=record.priority,
        callback_url=record.callback_url,
        batch=record.batch,
        stages_s={stage: round(seconds, 3) for stage, seconds in record.stages_s.items()},
        speaker_names=record.speaker_names,
        audio_removed_at=as_rfc3339(record.audio_removed_at),
        filename=record.audio.filename,
        n_bytes=record.audio.n_bytes,
        duration=record.audio.duration_s,
        eta_s=record.eta_s,
        request=record.request.model_dump(mode="json", exclude={"known_speaker_references"}),
        error=cast("ErrorShown | None", record.error),
        warnings=warnings_value(record.warnings),
        **job_links(record.id),
        audio_url=f"/jobs/{record.id}/audio",
    )


def transcript_shown(
    shape: type[Whole], record: JobRecord, transcript: Transcript, *, has_segments: bool
) -> Whole:
    """A whole result."""
    transcript = tidy(transcript)
    segments = {"segments": segment_values(transcript)} if has_segments else {}
    return shape(
        success=True,
        job_id=record.id,
        status=record.status,
        task=transcript.task,
        text=transcript.text.strip(),
        language=transcript.language,
        **cast("Any", segments | speaker_values(transcript)),
        info=Facts(
            language=transcript.language,
            language_probability=round(transcript.language_probability, 4),
            duration=round(transcript.duration, 3),
            duration_after_vad=round(transcript.duration_after_vad, 3),
            transcription_options=transcript.options,
        ),
        filename=record.audio.filename,
        model=transcript.model,
        process_time=process_time_s(record),
        warnings=warnings_value(transcript.warnings),
    )


def read_transcript(jobs: Jobs, record: JobRecord, *, chinese: Variant | None = None) -> Transcript:
    """
    Read the result of a job that succeeded, with the names that speakers were given since.

    Args:
        chinese: The script to read it in; None for the one that the job's request asked for.

    Raises:
        JobNotFound: The result was deleted a moment ago, or by hand from storage.
    """
    return rename_speakers(_read_in_script(jobs, record, chinese), record.speaker_names)


def read_transcript_if_any(
    jobs: Jobs, record: JobRecord, *, chinese: Variant | None = None
) -> Transcript | None:
    """The same; None if the job did not succeed, or its result was deleted."""
    if record.status is not Status.SUCCEEDED:
        return None
    try:
        return read_transcript(jobs, record, chinese=chinese)
    except JobNotFound:
        return None


def _read_in_script(jobs: Jobs, record: JobRecord, chinese: Variant | None) -> Transcript:
    variant = chinese or record.request.chinese or "none"
    try:
        if variant == record.request.chinese and (stored := jobs.read_converted(record, variant)):
            return stored
        transcript = jobs.read_transcript(record)
        if chinese is None and any(w.code == "conversion_failed" for w in transcript.warnings):
            return transcript  # it has a warning; asking for a script tries again
        return convert(transcript, variant)
    except KeyNotFound as error:
        raise JobNotFound("the result is no longer stored", job_id=record.id) from error


def wants_segments(record: JobRecord, asked: bool | None = None) -> bool:
    """
    Whether an answer holds `segments`: as asked; by default, if words or speakers were asked for.

    Args:
        asked: What the reader of the result said; None for what the job's request said.
    """
    if asked is None:
        asked = record.request.timestamps
    wanted = record.request.wants_words or record.request.names_speakers
    return wanted if asked is None else asked


def error_of(record: JobRecord) -> LonghandError | None:
    """Why a job that ended has no result; None if it has one or has not ended."""
    if record.status is Status.CANCELLED:
        return JobCancelled("the job was cancelled", job_id=record.id)
    if record.status is not Status.FAILED:
        return None
    error = error_from_value(record.error or {})
    error.job_id = record.id
    return error


def process_time_s(record: JobRecord) -> float | None:
    """Seconds from a job's start to its end."""
    if record.started_at is None or record.ended_at is None:
        return None
    return round(record.ended_at - record.started_at, 3)


@overload
def as_rfc3339(time_s: float) -> str: ...
@overload
def as_rfc3339(time_s: float | None) -> str | None: ...
def as_rfc3339(time_s: float | None) -> str | None:
    """
    A time in seconds since 1970 as RFC 3339 writes it, in UTC.

    >>> as_rfc3339(0.5)
    '1970-01-01T00:00:00.500Z'
    """
    if time_s is None:
        return None
    text = datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
