"""`/v1/…`: OpenAI's routes, for the clients that speak to it."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from functools import partial

from flask import Blueprint, Response, jsonify

from gateway.errors import REDIS_AWAY
from gateway.fields import JobOptions
from gateway.hangups import Reader, is_gone
from gateway.offers import is_offered, offered_names
from gateway.openai.answers import answer_transcribed, say_how
from gateway.openai.fields import (
    OPENAI_LISTS,
    OpenAISubmission,
    TranscriptionFields,
    TranslationFields,
    is_known_to_openai,
    read_openai,
)
from gateway.openai.stream import stream_events
from gateway.openapi.documented import Answer, Body, documented
from gateway.receiving import Fields, receive_form
from gateway.services import Services, services
from gateway.shapes import openai as shapes
from gateway.submission import submit
from gateway.synchronous import see_through, take_slot
from gateway.uploads import AudioWriter
from gateway.warned import DOCUMENTED, name_warnings_early
from shared import errors
from shared.records import JobRecord
from shared.request import TranscriptionRequest

blueprint = Blueprint("openai", __name__)

_TAG = "OpenAI"
_HEADERS = {
    "Location": "The job that was made.",
    "X-Longhand-Ignored": "Fields that mean nothing here, percent-encoded, with commas.",
    "X-Longhand-Model": "The model that ran.",
    **DOCUMENTED,
}
_TEXTS = ("text/plain", "application/x-subrip", "text/vtt")
_ERRORS = (
    errors.InvalidRequest, errors.UnsupportedMedia, errors.EngineNotAvailable,
    errors.ModelNotFound, errors.AudioTooLarge, errors.AudioUnreadable, errors.EngineFailed,
    errors.GpuOutOfMemory, errors.JobTimedOut, errors.WorkerLost, errors.JobCancelled,
    errors.JobNotFound, errors.IdempotencyMismatch, errors.WaitTimedOut, errors.Busy,
    errors.StorageFull,
)  # fmt: skip


@blueprint.post("/v1/audio/transcriptions")
@documented(
    tag=_TAG,
    body=Body(
        models=(TranscriptionFields, TranscriptionRequest, JobOptions),
        files=("file",),
        allows_others=True,
    ),
    answers={
        200: Answer(
            shapes.OpenAITranscript,
            media_types=("application/json", *_TEXTS, "text/event-stream"),
            description="The transcript as `response_format` asks; events with `stream=true`.",
            headers=_HEADERS,
        )
    },
    errors=_ERRORS,
)
def create_transcription() -> Response:
    """Transcribe audio as OpenAI does, and answer when it is done, or while it is being done."""
    return _answer(services(), is_translation=False)


@blueprint.post("/v1/audio/translations")
@documented(
    tag=_TAG,
    body=Body(
        models=(TranslationFields, TranscriptionRequest, JobOptions),
        files=("file",),
        allows_others=True,
    ),
    answers={
        200: Answer(
            shapes.OpenAITranscript,
            media_types=("application/json", *_TEXTS),
            description="The English text as `response_format` asks.",
            headers=_HEADERS,
        )
    },
    errors=_ERRORS,
)
def create_translation() -> Response:
    """Translate speech into English as OpenAI does, and answer when it is done."""
    return _answer(services(), is_translation=True)


@blueprint.get("/v1/models")
@documented(tag=_TAG, answers={200: Answer(shapes.ModelList)}, errors=(errors.Busy,))
def list_openai_models() -> Response:
    """List the models a request may name now."""
    return jsonify(object="list", data=[_model(name) for name in offered_names(services())])


@blueprint.get("/v1/models/<path:model>")
@documented(
    tag=_TAG, answers={200: Answer(shapes.Model)}, errors=(errors.ModelNotFound, errors.Busy)
)
def show_openai_model(model: str) -> Response:
    """Tell of one model, by any name a request may give it."""
    if not is_offered(services(), model):
        raise errors.ModelNotFound(
            f"model {model[:200]!r} does not exist here; GET /v1/models lists those that do",
            param="model",
        )
    return jsonify(_model(model))


def _model(name: str) -> dict[str, str | int]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "longhand"}


def _answer(here: Services, *, is_translation: bool) -> Response:
    def read(fields: Fields, filename: str) -> OpenAISubmission:
        found = read_openai(here, fields, filename, is_translation=is_translation)
        if found.is_streamed:  # before a job is made
            held.enter_context(take_slot(here))
        return found

    def receive(writer: AudioWriter) -> OpenAISubmission:
        is_known = partial(is_known_to_openai, is_translation=is_translation)
        return receive_form(writer, read, lists=OPENAI_LISTS, is_known=is_known)

    with ExitStack() as held:
        record, submission = submit(here, receive)
        assert isinstance(submission, OpenAISubmission)
        if submission.is_streamed:
            answer = _stream(here, record, submission)
            # The slot is free again when the last event is out.
            answer.call_on_close(held.pop_all().close)
            return answer
    return see_through(here, record, submission, answer_transcribed)


def _stream(here: Services, record: JobRecord, submission: OpenAISubmission) -> Response:
    reader = Reader(here, record)
    with suppress(*REDIS_AWAY):
        reader.stay()  # before another of its readers leaves
    answer = Response(
        stream_events(here, record, submission, reader, is_gone() or (lambda: False)),
        content_type="text/event-stream; charset=utf-8",
    )
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["X-Accel-Buffering"] = "no"  # nginx hands on each event as it comes
    say_how(answer, record, submission)
    return name_warnings_early(answer, here.settings.catalogue, record)
