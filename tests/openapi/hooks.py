"""
What schemathesis sends where a schema cannot say it all: audio, and options that agree.

Hypothesis draws everything else, and everything that is sent to be refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.generation.meta import ComponentInfo
from schemathesis.transport.serialization import Binary

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "gateway"))

import clips  # noqa: E402
from subjects import PART_TYPE, UPLOAD_BYTES, Subjects  # noqa: E402

from gateway.reading.bodies import FORMS  # noqa: E402
from gateway.whisper_cpp.fields import RENAMED  # noqa: E402
from shared.formats import FORMATS, FormatOptions  # noqa: E402
from shared.wire import ALIASES  # noqa: E402

SITE: dict[str, Any] = json.loads(os.environ["LONGHAND_TEST_SITE"])
"""`api`: the site; `jobs`: ids of jobs that are there; `url`: where a clip lies."""

SUBJECTS = Subjects(SITE["api"], os.environ["LONGHAND_TEST_KEY"])

AUDIO = [
    clips.wav(0.3),
    clips.wav(1.0),
    clips.encoded("mp3", "libmp3lame", 0.5),
    clips.encoded("ogg", "libopus", 0.5, rate_hz=48_000),
    clips.encoded("webm", "libopus", 0.5, rate_hz=48_000),
]
RUBBISH = [clips.random_bytes(2000), clips.PNG, clips.TEXT[:500], clips.wav_without_channels()]
VOICE = "data:audio/wav;base64," + base64.b64encode(clips.wav(2.0)).decode()

DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text("utf-8"))
KNOWN = {
    name
    for operations in DOCUMENT["paths"].values()
    for operation in operations.values()
    for content in operation.get("requestBody", {}).get("content", {}).values()
    for name in content["schema"].get("properties", {})
}
"""Every field of every body."""

_ALIASES = {**ALIASES, **RENAMED}

_TEXTS = {
    "model": ["demo", "whisper-1"],
    "backend": ["faster_whisper"],
    "engine": ["faster_whisper"],
    "align_model": [""],
    "diarize_model": [""],
    "task": ["transcribe"],  # all that the demo model can
    "language": ["", "auto", "en", "English"],
    "wait": ["", "0", "false", "0.5", "true"],
    "format": [name for name in FORMATS if name != "rttm"],  # of jobs that know who speaks
    "callback_url": ["", "https://example.com/told"],
    "url": [SITE["url"]],
    "urls": [[SITE["url"]]],
    "speaker_names": ["{}", '{"SPEAKER_00": "Ann"}'],
    "chunking_strategy": ["auto", '{"type": "server_vad"}', '{"threshold": 0.4}'],
    "status": ["", "queued", "succeeded,failed"],
    "ext": ["wav"],
    "encode": ["true"],  # `false` stands in the query alone
    "model_name": ["demo"],
    "translate": ["false"],  # as `task`
    "audio_url": [SITE["url"]],
    "detect_language": ["true", "false"],
    "language_code": ["en_us", "de"],
    "callback": ["", "https://example.com/told"],
    "webhook_url": ["https://example.com/told"],
    "webhook_auth_header_name": ["X-Told"],
    "webhook_auth_header_value": ["sesame"],
    "before_id": SITE["jobs"],
    "after_id": SITE["jobs"],
}
"""Texts of which a schema says no more than that they are texts."""

schemathesis.openapi.format("binary", st.sampled_from([*AUDIO, *RUBBISH]).map(Binary))
schemathesis.serializer.alias(PART_TYPE, "application/octet-stream")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Make what is to be accepted possible in the one way a schema cannot ask for."""
    meta = case.meta
    if case.method == "DELETE" and (case.path_parameters or {}).get("job_id") in SITE["jobs"]:
        case.path_parameters = {"job_id": SUBJECTS.job()}  # the others are still to be asked for
    if meta is None or not (meta.generation.mode.is_positive or is_meant_right(meta)):
        if isinstance(case.query, dict):
            case.query = {name: _filled_in(value) for name, value in case.query.items()}
        if isinstance(case.body, dict) and case.media_type in FORMS:
            case.body = {name: _sent_in_forms(value) for name, value in case.body.items()}
        return
    # Copies: what schemathesis drew once it sends again, also among what is to be refused.
    if isinstance(case.query, dict):
        case.query = make_possible(dict(case.query))
    if isinstance(case.body, dict):
        case.body = make_possible(dict(case.body))
        case.body = _complete(case.path, case.body)
    if "STATEFUL" not in str(meta.phase.name).upper():  # there, links lead to what was made before
        _give_subject(case)
    _fit_headers(case)
    # schemathesis looks anew at what was changed, and holds whatever body has a file for a wrong
    # one: that is not to be believed, neither of changes of ours nor of its own.
    for location in ParameterLocation:
        meta.clear_dirty(location)
    meta.generation.mode = GenerationMode.POSITIVE
    for location in meta.components:
        meta.components[location] = ComponentInfo(mode=GenerationMode.POSITIVE)


def _filled_in(value: Any) -> Any:
    """What was drawn to be wrong: an empty text is what nobody filled in, to routes of others."""
    return "nothing" if value in ("", [""]) else value


def _sent_in_forms(value: Any) -> Any:
    """
    The same of a form, which has no way to send what is empty.

    What is a text in a form, such as null for a text, schemathesis knows to be no longer wrong.
    """
    return str(value) if value in ([], {}) else _filled_in(value)


def is_meant_right(meta: Any) -> bool:
    """Whether a request was drawn to be accepted, whatever schemathesis thought of it later."""
    return str(meta.phase.data.description).lower() == "positive test case"


def make_possible(fields: dict[str, Any]) -> dict[str, Any]:
    """Let options agree with each other and with what the site has."""
    said: set[str] = set()
    for name in list(fields):
        meant = _ALIASES.get(name, name)
        if meant in said or (name not in KNOWN and isinstance(fields[name], list)):
            del fields[name]  # nothing may be given twice, by whatever name
        said.add(meant)
    if isinstance(fields.get("speaker_names"), dict):
        fields["speaker_names"] = {"SPEAKER_00": "Ann"}
    for name, texts in _TEXTS.items():
        if name in fields and not isinstance(fields[name], dict):
            fields[name] = pick(texts, fields[name])
    fields.pop("cursor", None)  # it is of a page that was given before
    _agree(fields)
    _hear(fields)
    _use(fields)
    return fields


def _complete(path: str, fields: dict[str, Any]) -> dict[str, Any]:
    """What a schema cannot ask for: one field or another, an id that is good for one use."""
    if path == "/transcribe/batch" and not fields.get("files[]"):
        return {**fields, "urls": [SITE["url"]]}
    if path == "/transcribe/upload":
        return {**fields, "upload": SUBJECTS.upload(is_whole=True)}
    if path.endswith("/audio/translations"):
        return {**fields, "model": "tiny"}  # demo cannot translate
    return fields


def _give_subject(case: Any) -> None:
    """Let a request be about a job, or an upload, that is there and in a state fit for it."""
    drawn = case.path_parameters or {}
    if "job_id" in drawn:
        if case.path.endswith("/retry"):
            job_id = SUBJECTS.cancelled_job()
        elif case.method == "DELETE" or case.path.endswith("/cancel"):
            job_id = SUBJECTS.job()
        else:
            job_id = pick(SITE["jobs"], drawn["job_id"])
        case.path_parameters = {**drawn, "job_id": job_id}
    if "upload_id" in drawn and case.method != "OPTIONS":
        case.path_parameters = {**drawn, "upload_id": SUBJECTS.upload(is_whole=False)}


def _fit_headers(case: Any) -> None:
    """An upload is not too long; the part of one is its first and has its own checksum."""
    fitting = {}
    if "Upload-Length" in case.headers:
        fitting["Upload-Length"] = str(min(int(case.headers["Upload-Length"]), UPLOAD_BYTES))
    if "PATCH" in (case.method, case.headers.get("X-HTTP-Method-Override")) and "upload_id" in (
        case.path_parameters or {}
    ):
        fitting |= {"Upload-Offset": "0", "Content-Type": PART_TYPE}
    if "Upload-Checksum" in case.headers:
        part = case.body.data if isinstance(case.body, Binary) else b""
        digest = base64.b64encode(hashlib.sha1(part).digest()).decode()
        fitting["Upload-Checksum"] = f"sha1 {digest}"
    if fitting:
        case.headers = {**case.headers, **fitting}


def _agree(fields: dict[str, Any]) -> None:
    low, high = fields.get("min_speakers"), fields.get("max_speakers")
    if low is not None and high is not None and int(low) > int(high):
        fields["min_speakers"], fields["max_speakers"] = high, low
    few, many = "min_speakers_expected", "max_speakers_expected"
    if isinstance(counts := fields.get("speaker_options"), dict) and counts.get(few):
        counts.pop(many, None)
    for name in ("audio_start_from", "audio_end_at", "offset_t", "duration"):
        fields.pop(name, None)  # they may not be in each other's way
    if "clip_timestamps" in fields:
        fields["clip_timestamps"] = "0,0.2,0.3"
    if "suppress_tokens" in fields:
        fields["suppress_tokens"] = "-1,50"
    for name in ("temperature_increment", "temperature_inc", "temperature_increment_on_fallback"):
        if 0 < float(fields.get(name) or 0) < 0.05:
            fields[name] = 0.05
    names = fields.pop("known_speaker_names", None)
    fields.pop("known_speaker_references", None)
    if names:
        fields |= {"known_speaker_names": ["Ann"], "known_speaker_references": [VOICE]}


def _hear(fields: dict[str, Any]) -> None:
    """Clips have one track; who speaks is told by channel or by voice."""
    if fields.get("audio_track"):
        fields["audio_track"] = 1
    if "diarize" in fields or "speaker_labels" in fields:
        fields.pop("multichannel", None)


def _use(fields: dict[str, Any]) -> None:
    """Options of a format that has no use for them are refused."""
    wanted = FORMATS.get(str(fields.get("format", "")))
    for option in FormatOptions.model_fields:
        if option in fields and option not in (wanted.options if wanted else ()):
            del fields[option]


def pick(choices: list[Any], drawn: object) -> Any:
    """One of the choices, always the same one for the same draw."""
    return choices[sum(str(drawn).encode()) % len(choices)]
