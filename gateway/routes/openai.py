"""`/v1/…`: OpenAI's routes, also where clients of Groq and Azure, and those without `/v1`, look."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
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
    OpenAISubmission,
    TranscriptionFields,
    TranslationFields,
    is_known_to_openai,
    read_openai,
)
from gateway.openai.inline import InlineFields, receive_inline
from gateway.openai.stream import stream_events
from gateway.openapi.documented import Answer, Body, documented
from gateway.reading.fields import JobOptions
from gateway.reading.forms import AudioWriter
from gateway.services import Services, services
from gateway.submission.offers import is_offered, offered_names
from gateway.submission.receiving import Fields, receive_form
from gateway.submission.submit import submit
from gateway.waiting.disconnects import Reader, disconnect_check
from gateway.waiting.synchronous import see_through, take_slot
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
    """Let a view answer at a path below each of the prefixes."""

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
    return _answer(services(), deployment, is_translation=False)


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
    return _answer(services(), deployment, is_translation=True)


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


def _answer(here: Services, deployment: str, *, is_translation: bool) -> Response:
    def read(fields: Fields, filename: str) -> OpenAISubmission:
        if deployment:
            fields = _of_azure(fields, deployment)
        found = read_openai(here, fields, filename, is_translation=is_translation)
        if found.is_streamed:  # before a job is made
            held.enter_context(take_slot(here))
        return found

    def receive(writer: AudioWriter) -> OpenAISubmission:
        if request.is_json:
            return receive_inline(writer, here.settings.max_audio_bytes, read)
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


def _of_azure(fields: Fields, deployment: str) -> Fields:
    """The fields of a request to Azure: its deployment is the model, and any version will do."""
    kept = {name: value for name, value in fields.items() if name != "api-version"}
    return kept if kept.get("model") else kept | {"model": deployment}


def _stream(here: Services, record: JobRecord, submission: OpenAISubmission) -> Response:
    reader = Reader(here, record)
    with suppress(*REDIS_AWAY):
        reader.stay()  # before another of its readers leaves
    answer = Response(
        stream_events(here, record, submission, reader, disconnect_check()),
        content_type="text/event-stream; charset=utf-8",
    )
    answer.headers["Cache-Control"] = "no-cache"
    answer.headers["X-Accel-Buffering"] = "no"  # nginx hands on each event as it comes
    say_how(answer, record, submission)
    name_warnings_early(answer, here.settings.catalogue, record)
    return name_replaced(answer, submission.replaced)
