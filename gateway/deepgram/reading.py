"""What Deepgram's clients send: a recording or its URL, and options in the query."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from flask import request

from gateway.deepgram.options import LISTS, ListenOptions
from gateway.reading.audio import AudioWriter, copy_body
from gateway.reading.bodies import read_object
from gateway.reading.fields import Fields, as_sent, fields_and_lists, read_model, split_known
from gateway.reading.raw_samples import RawSamples, wave_header
from gateway.services import Services
from gateway.submission.models import offered_or_none
from gateway.submission.options import OPTION_NAMES, DialectSubmission, read_submission
from shared.errors import InvalidRequest, UnsupportedMedia
from shared.records import AskedAs
from shared.wire import LISTS as OUR_LISTS

THEIR_MODELS = re.compile(r"(nova|enhanced|base|general|flux|whisper|2)(-[\w-]*)?")
KNOWN = OPTION_NAMES.union(OUR_LISTS, ListenOptions.model_fields)
"""Every parameter that means something here."""

_NEEDED = {
    "redact": "nothing is taken out of the text here",
    "replace": "nothing is replaced in the text here",
    "profanity_filter": "nothing is taken out of the text here",
}
"""Options that would change the text, and that we cannot do. To set one is an error."""

_THEIR_DIARIZERS = ("latest", "v1", "v2")
_OFF = ("", "false", "0", "no", "off", "none")
_RAW = ("linear16", "mulaw", "alaw")
_SENT_AS = {"callback_url": "callback", "label": "tag", "hotwords": "keyterm"}


ListenSubmission = DialectSubmission[ListenOptions]


def read_listen(here: Services) -> ListenSubmission:
    """
    Read the query of the present request; our own options may stand in it as well.

    Raises:
        InvalidRequest: A value is not possible, or a parameter of `_NEEDED` is set.
        ModelNotFound: There is no such model, here or at Deepgram.
    """
    lists = LISTS | OUR_LISTS
    sent = fields_and_lists(request.args, lists=lists, known=KNOWN)
    for name, why in _NEEDED.items():
        if str(sent.get(name, "")).lower() not in _OFF:
            raise InvalidRequest(f"{name} is not possible: {why}", param=name)
    fields, unknown = split_known(sent, KNOWN)
    fields = {name: value for name, value in fields.items() if value not in ("", [""])}
    own = {name: fields.pop(name) for name in ListenOptions.model_fields if name in fields}
    options = read_model(ListenOptions, own)
    ignored = tuple(name for name in unknown if str(sent[name]).lower() not in _OFF)
    model, replaced = _model(here, fields)
    fields |= model | _implied(options, fields)
    try:
        submission = read_submission(here, fields)
    except InvalidRequest as error:
        sent_as = {ours: theirs for ours, theirs in _SENT_AS.items() if ours not in request.args}
        raise as_sent(error, sent_as) from error
    if options.callback:
        kept = {**own, "ignored": ignored, "replaced": replaced}
        submission = replace(submission, asked_as=AskedAs(dialect="deepgram", sent=kept))
    return DialectSubmission(submission, options, ignored, replaced)


def _model(here: Services, sent: Fields) -> tuple[dict[str, str], str]:
    """Our option for the model, and the name that was asked for if it is no model here; else ""."""
    named = str(sent.pop("model", ""))
    model = offered_or_none(here, [named] if named else [], theirs=THEIR_MODELS)
    return ({"model": model}, "") if model else ({}, named)


def _implied(options: ListenOptions, sent: Fields) -> dict[str, Any]:
    """The options of ours that Deepgram's stand for."""
    implied: dict[str, Any] = {"word_timestamps": "true"}
    if options.diarize_model:
        implied["diarize"] = "true"
        if options.diarize_model not in _THEIR_DIARIZERS:
            implied["diarize_model"] = options.diarize_model
    if str(sent.get("diarize", "")).lower() in _OFF and "diarize" not in implied:
        # Whisper's own times cost least; only diarization needs better ones.
        implied["align"] = sent.get("align", "false")
    if sent.get("language") == "multi":
        implied |= {"language": "auto", "multilingual": "true"}
    elif options.detect_language:
        implied["language"] = "auto"
    if options.numerals is False and not options.smart_format:
        implied["suppress_numerals"] = "true"
    for name, value in (
        ("hotwords", ", ".join(options.hotwords)),
        ("label", options.tag[0] if options.tag else ""),
        ("callback_url", options.callback or ""),
    ):
        if value and name not in sent:
            implied[name] = value
    return implied


def receive_recording(here: Services, options: ListenOptions, writer: AudioWriter) -> str:
    """
    Write the audio of the present request: its body, or what is at the URL in its body.

    Returns:
        A filename for the audio.

    Raises:
        LonghandError: There is no audio, or it cannot be fetched.
    """
    if request.mimetype == "application/json":
        url = read_object().get("url")
        if not isinstance(url, str) or not url.strip():
            raise InvalidRequest('send {"url": "https://…/talk.mp3"}, or the audio', param="url")
        return here.downloads.fetch(url.strip(), writer)
    if request.mimetype == "multipart/form-data":
        raise UnsupportedMedia("the body is a multipart form; send the audio alone, or its URL")
    if samples := _raw_samples(options):
        writer.write(wave_header(samples))
    copy_body(writer)
    return "audio"


def _raw_samples(options: ListenOptions) -> RawSamples | None:
    """How to read the body if it is nothing but samples; else None."""
    if options.encoding not in _RAW:
        return None
    if options.sample_rate is None:
        raise InvalidRequest(
            f"encoding is {options.encoding!r}, bare samples; send sample_rate too, in Hz",
            param="sample_rate",
        )
    return RawSamples(options.encoding, options.sample_rate, options.channels)  # type: ignore[arg-type]
