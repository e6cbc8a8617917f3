"""`/asr` and `/detect-language`, as whisper-asr-webservice and its clients have them."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request

from gateway.answering.shapes import older as shapes
from gateway.older.answers import answer_asr, answer_language
from gateway.older.fields import AsrFields, DetectFields, Own, known_to_older, read_older
from gateway.openapi.documented import Answer, documented
from gateway.reading.fields import parse_flag
from gateway.reading.forms import receive_form
from gateway.reading.raw_samples import RawSamples, wave_header
from gateway.routes.legacy import FAILED, MADE, REFUSED, TAG, older_body
from gateway.services import services
from gateway.submission.options import DialectSubmission
from gateway.submission.submit import IncomingAudio, submit
from gateway.waiting.synchronous import Transcribed, answer_when_done
from shared.errors import InvalidRequest

blueprint = Blueprint("asr", __name__)

_FILE = "audio_file"
_BARE = RawSamples("linear16", 16_000)
_DETECTED = {"clip_timestamps": "0,30", "language": "", "beam_size": "1", "diarize": "false"}
"""Whisper detects the language from the first 30 s."""


@blueprint.post("/asr")
@documented(
    tag=TAG,
    body=older_body(AsrFields, file_field=_FILE),
    answers={
        200: Answer(
            shapes.OlderTranscript,
            media_types=(
                "text/plain", "application/json", "application/x-subrip", "text/vtt",
                "text/tab-separated-values",
            ),
            description="The transcript as `output` asks.",
            headers=MADE | {"Asr-Engine": "The engine that ran, as `faster_whisper`."},
        )
    },
    errors=(*REFUSED, *FAILED),
)  # fmt: skip
def run_asr() -> Response:
    """Transcribe a form's `audio_file`; the options stand in the query or in the form."""
    return _transcribe(AsrFields, {}, answer_asr)


@blueprint.post("/detect-language")
@documented(
    tag=TAG,
    body=older_body(DetectFields, file_field=_FILE),
    answers={200: Answer(shapes.DetectedLanguage, headers=MADE)},
    errors=(*REFUSED, *FAILED),
)
def detect_language() -> Response:
    """Tell which language is spoken in the first 30 s of a form's `audio_file`."""
    return _transcribe(DetectFields, _DETECTED, answer_language)


def _transcribe(
    kind: type[Own],
    implied: dict[str, str],
    answer: Callable[[Transcribed[DialectSubmission[Own]]], Response],
) -> Response:
    here = services()
    with IncomingAudio(here, field=_FILE) as incoming:
        if not parse_flag("encode", request.args.get("encode", "true")):
            incoming.writer.write(wave_header(_BARE))
        form = receive_form(incoming.writer, file_field=_FILE, known=known_to_older(kind))
        encode = str(form.fields.get("encode") or "true")
        if "encode" not in request.args and not parse_flag("encode", encode):
            # It comes too late in a form: the file may be stored by then, without a header.
            raise InvalidRequest(
                "encode=false cannot be obeyed in the form; send encode in the query",
                param="encode",
            )
        submission = read_older(here, form.fields, kind, implied=implied)
        record = submit(here, incoming, submission.meant, form.filename)
    return answer_when_done(here, record, submission, answer)
