"""What AssemblyAI's clients send to have a transcript made."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from gateway.access.auth import present_owner
from gateway.assemblyai.options import TranscriptOptions
from gateway.assemblyai.uploads import FIELD, copy_upload, take_upload, upload_in
from gateway.reading.bodies import read_object
from gateway.reading.fields import as_sent, read_model, split_known
from gateway.services import Services
from gateway.submission.models import offered_or_none
from gateway.submission.options import OPTION_NAMES, Submission, read_submission
from gateway.submission.submit import IncomingAudio, submit
from shared.errors import InvalidRequest
from shared.records import AskedAs, JobRecord
from shared.wire import LISTS

THEIR_MODELS = re.compile(r"best|nano|slam(-.*)?|conformer-2|universal(-.*)?")
KNOWN = OPTION_NAMES.union(LISTS, TranscriptOptions.model_fields)
"""Every name that means something here."""

_NEEDED = {
    "redact_pii": "nothing is taken out of the text here",
    "redact_pii_audio": "nothing is taken out of the audio here",
    "filter_profanity": "nothing is taken out of the text here",
    "custom_spelling": "nothing is replaced in the text here; name the words in keyterms_prompt",
}
"""Options that would change the text, and that we cannot do. To set one is an error."""

_SENT_AS = {
    "callback_url": "webhook_url",
    "language": "language_code",
    "num_speakers": "speakers_expected",
    "min_speakers": "speaker_options",
    "hotwords": "keyterms_prompt",
    "clip_timestamps": "audio_start_from",
}


def order_transcript(here: Services) -> tuple[JobRecord, tuple[str, ...]]:
    """
    Make a job of the present request.

    Returns:
        The job, and the names of fields that mean nothing here.

    Raises:
        LonghandError: The options or the audio cannot be taken.
    """
    sent = {name: value for name, value in read_object().items() if value is not None}
    _refuse_needed(sent)
    fields, unknown = split_known(sent, KNOWN)
    own = {name: fields.pop(name) for name in TranscriptOptions.model_fields if name in fields}
    if FIELD not in own:
        raise InvalidRequest(
            "audio_url is missing; send the upload_url of POST /v2/upload, or any URL of the audio",
            param=FIELD,
        )
    options = read_model(TranscriptOptions, own)
    ignored = tuple(name for name in unknown if sent[name] not in (False, [], "", {}))
    submission = _submission(here, options, fields, ignored)
    upload, filename = None, "audio"
    with IncomingAudio(here, field=FIELD) as incoming:
        if upload_id := upload_in(options.audio_url):
            upload = copy_upload(here, upload_id, present_owner(), incoming.writer)
        else:
            filename = here.downloads.fetch(options.audio_url, incoming.writer)
        record = submit(here, incoming, submission, filename)
    if upload:
        take_upload(here, upload, record)
    return record, ignored


def _refuse_needed(sent: dict[str, Any]) -> None:
    for name, why in _NEEDED.items():
        if sent.get(name):
            raise InvalidRequest(f"{name} is not possible: {why}", param=name)


def _submission(
    here: Services,
    options: TranscriptOptions,
    fields: dict[str, Any],
    ignored: tuple[str, ...],
) -> Submission:
    model, replaced = _model(here, options, fields)
    try:
        submission = read_submission(here, fields | model | _implied(options, fields))
    except InvalidRequest as error:
        sent_as = {ours: theirs for ours, theirs in _SENT_AS.items() if ours not in fields}
        raise as_sent(error, sent_as) from error
    kept = {**options.kept(), "ignored": ignored, "replaced": replaced}
    return replace(submission, asked_as=AskedAs(dialect="assemblyai", sent=kept))


def _model(
    here: Services, options: TranscriptOptions, sent: dict[str, Any]
) -> tuple[dict[str, str], str]:
    """Our option for the model, and the name that was asked for if it is no model here; else ""."""
    asked = (*options.speech_models, options.speech_model, sent.pop("model", None))
    named = [name for name in asked if isinstance(name, str) and name]
    model = offered_or_none(here, named, theirs=THEIR_MODELS)
    return ({"model": model}, "") if model else ({}, named[0] if named else "")


def _implied(options: TranscriptOptions, sent: dict[str, Any]) -> dict[str, Any]:
    """The options of ours that AssemblyAI's fields stand for."""
    implied: dict[str, Any] = {"word_timestamps": True}
    if options.speaker_labels:
        implied["diarize"] = True
    if options.dual_channel:
        implied["multichannel"] = True
    if not (options.speaker_labels or sent.get("diarize") or "align" in sent):
        # Whisper's own times cost least; only diarization needs better ones.
        implied["align"] = False
    if options.language_code and not options.language_detection:
        implied["language"] = options.language_code.replace("_", "-")
    counts = options.speaker_options
    first, last = options.audio_start_from or 0, options.audio_end_at
    clip = (first / 1000, *((last / 1000,) if last else ())) if first or last else None
    for name, value in (
        ("num_speakers", options.speakers_expected),
        ("min_speakers", counts and counts.min_speakers_expected),
        ("max_speakers", counts and counts.max_speakers_expected),
        ("hotwords", options.hotwords),
        ("clip_timestamps", clip),
        ("callback_url", options.webhook_url),
    ):
        if value:
            implied[name] = value
    return implied
