"""`/v1/…`: OpenAI's routes, also at the paths of Groq and Azure and without `/v1`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TypeVar

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel

from gateway.answering.replaced import name_replaced
from gateway.answering.shapes import openai as shapes
from gateway.answering.warned import DOCUMENTED, name_warnings_early
from gateway.errors import REDIS_AWAY
from gateway.openai.answers import answer_transcribed, say_how
from gateway.openai.fields import (
    OPENAI_LISTS,
    OpenAIFields,
    OpenAISubmission,
    TranscriptionFields,
    TranslationFields,
    known_to_openai,
    read_openai,
)
from gateway.openai.inline import AUDIO_FIELD, InlineFields, receive_inline, refuse_large_body
from gateway.openai.stream import stream_events
from gateway.openapi.documented import Answer, Body, documented
from gateway.reading.audio import AudioWriter
from gateway.reading.fields import Fields
from gateway.reading.forms import SentForm, receive_form
from gateway.services import Services, services
from gateway.submission.models import is_offered, offered_names
from gateway.submission.options import JobOptions
from gateway.submission.submit import IncomingAudio, submit
from gateway.waiting.disconnects import Reader, disconnect_check
from gateway.waiting.synchronous import answer_when_done, take_slot
from shared import errors
from shared.records import JobRecord
from shared.request import TranscriptionRequest

blueprint = Blueprint("openai", __name__)

View = TypeVar("View", bound=Callable[..., Response])

_TAG = "OpenAI"
_GROQ, _AZURE = "/openai/v1", "/openai/deployments/<deployment>"
_AUDIO = ("/v1", "", _GROQ, _AZURE)
_MODELS = ("/v1", _GROQ, "/openai")  # `/models` alone is ours
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


def _bodies(*kinds: type[BaseModel]) -> tuple[Body, Body]:
    """A form with the audio as a file, or JSON with the audio as text."""
    form = Body(models=kinds, files=("file",), allows_others=True)
    inline = Body(
        models=(InlineFields, *kinds), media_types=("application/json",), allows_others=True
    )
    return form, inline


def _at(method: str, path: str, *prefixes: str) -> Callable[[View], View]:
    """Register a view at a path below each of the prefixes."""

    def add(view: View) -> View:
        for prefix in prefixes:
            blueprint.add_url_rule(f"{prefix}{path}", view_func=view, methods=[method])
        return view

    return add


@_at("POST", "/audio/transcriptions", *_AUDIO)
@documented(
    tag=_TAG,
    body=_bodies(TranscriptionFields, TranscriptionRequest, JobOptions),
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
def create_transcription(deployment: str = "") -> Response:
    """Transcribe audio as OpenAI does, and answer when it is done, or while it is being done."""
    return _answer(TranscriptionFields, deployment)


@_at("POST", "/audio/translations", *_AUDIO)
@documented(
    tag=_TAG,
    body=_bodies(TranslationFields, TranscriptionRequest, JobOptions),
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
def create_translation(deployment: str = "") -> Response:
    """Translate speech into English as OpenAI does, and answer when it is done."""
    return _answer(TranslationFields, deployment)


@_at("GET", "/models", *_MODELS)
@documented(tag=_TAG, answers={200: Answer(shapes.ModelList)}, errors=(errors.Busy,))
def list_openai_models() -> Response:
    """List the models a request may name now."""
    data = [_model(name) for name in offered_names(services())]
    return jsonify(shapes.ModelList(object="list", data=data).value())


@_at("GET", "/models/<path:model>", *_MODELS)
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
    return jsonify(_model(model).value())


def _model(name: str) -> shapes.Model:
    return shapes.Model(id=name, object="model", created=0, owned_by="longhand")


def _answer(kind: type[OpenAIFields], deployment: str) -> Response:
    here = services()
    if request.is_json:
        refuse_large_body()
    with ExitStack() as held:
        with IncomingAudio(here, field=AUDIO_FIELD if request.is_json else "file") as incoming:
            form = _receive(incoming.writer, kind)
            fields = _of_azure(form.fields, deployment) if deployment else form.fields
            submission = read_openai(here, fields, kind)
            if submission.meant.is_streamed:  # before a job is made
                held.enter_context(take_slot(here))
            record = submit(here, incoming, submission.meant, form.filename)
        if submission.meant.is_streamed:
            answer = _stream(here, record, submission)
            # The slot is free again when the last event is out.
            answer.call_on_close(held.pop_all().close)
            return answer
    return answer_when_done(here, record, submission, answer_transcribed)


def _receive(writer: AudioWriter, kind: type[OpenAIFields]) -> SentForm:
    if request.is_json:
        return receive_inline(writer)
    return receive_form(writer, lists=OPENAI_LISTS, known=known_to_openai(kind))


def _of_azure(fields: Fields, deployment: str) -> Fields:
    """The fields of a request to Azure: the deployment is the model; the API version is ignored."""
    kept = {name: value for name, value in fields.items() if name != "api-version"}
    return kept if kept.get("model") else kept | {"model": deployment}


def _stream(here: Services, record: JobRecord, submission: OpenAISubmission) -> Response:
    reader = Reader(here, record)
    with suppress(*REDIS_AWAY):
        reader.stay()  # before another reader of the same job leaves
    answer = Response(
        stream_events(here, record, submission, reader, disconnect_check()),
        content_type="text/event-stream; charset=utf-8",
    )
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["X-Accel-Buffering"] = "no"  # nginx hands on each event as it comes
    say_how(answer, record, submission)
    name_warnings_early(answer, here.settings.catalogue, record)
    return name_replaced(answer, submission.replaced)
