"""`/v2/…`: uploads and transcripts, as AssemblyAI's clients have them made."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field

from gateway.access.auth import present_owner
from gateway.answering.answers import read_transcript
from gateway.answering.ignored import name_ignored
from gateway.answering.shapes import assemblyai as shapes
from gateway.answering.warned import DOCUMENTED, name_warnings
from gateway.assemblyai.listing import TranscriptQuery, audio_url_of, list_value
from gateway.assemblyai.options import TranscriptOptions
from gateway.assemblyai.reading import order_transcript
from gateway.assemblyai.uploads import keep_upload
from gateway.assemblyai.values import (
    matches_value,
    paragraphs_value,
    sentences_value,
    status_value,
    transcript_value,
)
from gateway.openapi.documented import Answer, Body, documented
from gateway.reading.fields import read_model
from gateway.routes.jobs import find_job
from gateway.routes.legacy import MADE, REFUSED
from gateway.services import services
from gateway.submission.options import JobOptions
from gateway.waiting.disconnects import note_id_known
from shared import errors
from shared.errors import JobFailed, JobNotFinished
from shared.formats import FormatOptions, find_format, render
from shared.records import JobRecord, Status
from shared.request import TranscriptionRequest
from shared.transcript import Transcript

blueprint = Blueprint("assemblyai", __name__)

_TAG = "AssemblyAI"
_POLL_S = 3
_UNREAD = (
    errors.InvalidRequest, errors.JobNotFound, errors.JobNotFinished, errors.JobFailed,
)  # fmt: skip


class Captions(BaseModel):
    """How subtitles are cut."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    chars_per_caption: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="The most columns of a cue; if omitted, a cue for each segment.",
    )


class WordSearch(BaseModel):
    """What is looked for."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    words: str = Field(max_length=10_000, description="Words or phrases, separated by commas.")


@blueprint.post("/v2/upload")
@documented(
    tag=_TAG,
    body=Body(media_types=("application/octet-stream", "audio/*"), is_raw=True),
    answers={200: Answer(shapes.Uploaded)},
    errors=(
        errors.InvalidRequest, errors.AudioTooLarge, errors.TooManyRequests, errors.StorageFull,
    ),
)  # fmt: skip
def upload_audio() -> Response:
    """Take the audio itself as the body; its URL is for `audio_url`, and for its owner alone."""
    upload = keep_upload(services(), present_owner())
    return jsonify(shapes.Uploaded(upload_url=f"{_site()}/v2/upload/{upload.id}").value())


@blueprint.post("/v2/transcript")
@documented(
    tag=_TAG,
    body=Body(
        models=(TranscriptOptions, TranscriptionRequest, JobOptions),
        media_types=("application/json",),
        allows_others=True,
    ),
    answers={200: Answer(shapes.TranscriptStanding, headers=MADE)},
    errors=(
        *REFUSED, errors.AudioUnreachable, errors.UploadNotFound, errors.UploadConflict,
        errors.AudioGone, errors.JobNotFound,
    ),
)  # fmt: skip
def order() -> Response:
    """Order a transcript; the answer comes immediately, with its id."""
    here = services()
    record, ignored = order_transcript(here)
    note_id_known(here, record)
    answer = jsonify(_value(record))
    answer.headers["Location"] = f"/jobs/{record.id}"
    name_ignored(answer, ignored)
    return answer


@blueprint.get("/v2/transcript")
@documented(
    tag=_TAG,
    query=(TranscriptQuery,),
    answers={200: Answer(shapes.TranscriptPage)},
    errors=(errors.InvalidRequest, errors.JobNotFound),
)
def list_transcripts() -> Response:
    """List transcripts, newest first, with those that other routes made."""
    query = read_model(TranscriptQuery, request.args.to_dict())
    return jsonify(list_value(services(), present_owner(), query, _site()))


@blueprint.get("/v2/transcript/<job_id>")
@documented(
    tag=_TAG,
    answers={
        200: Answer(
            shapes.TranscriptStanding,
            headers=DOCUMENTED | {"Retry-After": "Seconds to ask again in."},
        )
    },
    errors=(errors.JobNotFound,),
)
def show_transcript(job_id: str) -> Response:
    """Tell how a transcript is, and all of it once it is completed."""
    record = find_job(job_id)
    answer = jsonify(_value(record))
    if not record.status.is_final:
        answer.headers["Retry-After"] = str(_POLL_S)
    return answer


@blueprint.delete("/v2/transcript/<job_id>")
@documented(
    tag=_TAG, answers={200: Answer(shapes.TranscriptStanding)}, errors=(errors.JobNotFound,)
)
def delete_transcript(job_id: str) -> Response:
    """Cancel a transcript if it is not completed, and remove its audio and text."""
    here, record = services(), find_job(job_id)
    value = transcript_value(record, None, audio_url="http://deleted_by_user")
    here.jobs.delete(record.id)
    gone = {"status": "completed", "text": "Deleted by user.", "error": None}
    return jsonify({**value, **gone, "audio_url": "http://deleted_by_user"})


@blueprint.get("/v2/transcript/<job_id>/sentences")
@documented(tag=_TAG, answers={200: Answer(shapes.Sentences)}, errors=_UNREAD)
def read_sentences(job_id: str) -> Response:
    """Give a completed transcript by its sentences."""
    record, transcript = _completed(job_id)
    return jsonify(sentences_value(record, transcript))


@blueprint.get("/v2/transcript/<job_id>/paragraphs")
@documented(tag=_TAG, answers={200: Answer(shapes.Paragraphs)}, errors=_UNREAD)
def read_paragraphs(job_id: str) -> Response:
    """Give a completed transcript by its paragraphs."""
    record, transcript = _completed(job_id)
    return jsonify(paragraphs_value(record, transcript))


@blueprint.get("/v2/transcript/<job_id>/word-search")
@documented(tag=_TAG, query=(WordSearch,), answers={200: Answer(shapes.Matches)}, errors=_UNREAD)
def search_words(job_id: str) -> Response:
    """Find where in a completed transcript some words are said."""
    find_job(job_id)  # before an error of the query
    wanted = read_model(WordSearch, request.args.to_dict()).words.split(",")
    record, transcript = _completed(job_id)
    phrases = [phrase.strip() for phrase in wanted if phrase.strip()]
    return jsonify(matches_value(record, transcript, phrases))


@blueprint.get("/v2/transcript/<job_id>/srt")
@documented(
    tag=_TAG,
    query=(Captions,),
    answers={200: Answer(media_types=("application/x-subrip",), headers=DOCUMENTED)},
    errors=_UNREAD,
)
def read_srt(job_id: str) -> Response:
    """Give a completed transcript as SubRip."""
    return _subtitles(job_id, "srt")


@blueprint.get("/v2/transcript/<job_id>/vtt")
@documented(
    tag=_TAG,
    query=(Captions,),
    answers={200: Answer(media_types=("text/vtt",), headers=DOCUMENTED)},
    errors=_UNREAD,
)
def read_vtt(job_id: str) -> Response:
    """Give a completed transcript as WebVTT."""
    return _subtitles(job_id, "vtt")


def _subtitles(job_id: str, name: str) -> Response:
    find_job(job_id)  # before an error of the query
    most = read_model(Captions, request.args.to_dict()).chars_per_caption
    shape: dict[str, Any] = {"max_line_width": most, "max_line_count": 1} if most else {}
    _, transcript = _completed(job_id)
    written = render(transcript, name, FormatOptions(speakers=False, **shape))
    answer = Response(written, content_type=find_format(name).media_type)
    return name_warnings(answer, transcript)


def _completed(job_id: str) -> tuple[JobRecord, Transcript]:
    """
    A job that succeeded, and its transcript.

    Raises:
        JobNotFinished: It has not ended.
        JobFailed: It has no transcript, or the caller's options refuse it.
    """
    record = find_job(job_id)
    transcript = _transcript_of(record)
    status, error = status_value(record, transcript)
    if error is not None:
        raise JobFailed(f"the transcript has the status error: {error}", job_id=record.id)
    if transcript is None:
        raise JobNotFinished(
            f"the transcript has the status {status}; ask again when that is completed",
            job_id=record.id,
            retry_after_s=_POLL_S,
        )
    return record, transcript


def _transcript_of(record: JobRecord) -> Transcript | None:
    has_text = record.status is Status.SUCCEEDED
    return read_transcript(services().jobs, record) if has_text else None


def _value(record: JobRecord) -> dict[str, Any]:
    audio_url = audio_url_of(record, _site())
    return transcript_value(record, _transcript_of(record), audio_url=audio_url)


def _site() -> str:
    """The site's address, as the caller wrote it."""
    is_secure = request.headers.get("X-Forwarded-Proto") == "https"
    return f"{'https' if is_secure else request.scheme}://{request.host}"
