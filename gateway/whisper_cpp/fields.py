"""What clients of whisper.cpp's server send: its fields, and the options they stand for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.reading.fields import Fields, read_model, split_known
from gateway.services import Services
from gateway.submission.options import (
    OPTION_NAMES,
    DialectSubmission,
    given_twice,
    read_submission,
)
from shared.wire import ALIASES, LISTS

RENAMED = {
    "no_speech_thold": "no_speech_threshold",
    "logprob_thold": "logprob_threshold",
    "vad_min_speech_duration_ms": "min_speech_duration_ms",
    "vad_min_silence_duration_ms": "min_silence_duration_ms",
    "vad_speech_pad_ms": "speech_pad_ms",
}
"""For each of whisper.cpp's fields, the option of ours that means the same."""

_CUES = ("srt", "vtt")


class InferenceFields(BaseModel):
    """The fields of whisper.cpp's server, except those that have the name of an option of ours."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    response_format: Literal["json", "text", "verbose_json", "srt", "vtt"] = Field(
        "json", description="How the answer is written."
    )
    translate: bool = Field(False, description="Translate into English, as `task=translate`.")
    detect_language: bool = Field(False, description="Detect the language, as `language=auto`.")
    carry_initial_prompt: bool = Field(
        False, description="Tell the model `prompt` before every chunk, as `hotwords` are."
    )
    offset_t: int = Field(0, ge=0, description="Where to begin, in ms.")
    duration: int = Field(0, ge=0, description="How much to transcribe, in ms; 0: to the end.")
    max_context: int = Field(
        -1, ge=-1, description="0: the model does not see the text before a chunk; else it does."
    )
    max_len: int = Field(
        0, ge=0, le=1000, description="With `srt` and `vtt`: most characters of a cue; 0: any."
    )
    no_timestamps: bool = Field(False, description="`verbose_json` without times.")
    token_timestamps: bool = Field(True, description="Times of words in `verbose_json`.")
    no_language_probabilities: bool = Field(
        False, description="`verbose_json` without how sure the language is."
    )
    suppress_nst: bool | None = Field(
        None, description="`false`: signs that are not speech may be written."
    )
    suppress_non_speech: bool | None = Field(None, description="As `suppress_nst`.")
    no_speech_thold: float | None = Field(
        None, ge=0.0, le=1.0, description="As `no_speech_threshold`."
    )
    logprob_thold: float | None = Field(None, le=0.0, description="As `logprob_threshold`.")
    vad_min_speech_duration_ms: int | None = Field(
        None, ge=0, le=60_000, description="As `min_speech_duration_ms`."
    )
    vad_min_silence_duration_ms: int | None = Field(
        None, ge=0, le=60_000, description="As `min_silence_duration_ms`."
    )
    vad_speech_pad_ms: int | None = Field(None, ge=0, le=10_000, description="As `speech_pad_ms`.")


KNOWN = OPTION_NAMES.union(LISTS, InferenceFields.model_fields)
"""Every name that means something here."""

InferenceSubmission = DialectSubmission[InferenceFields]


def read_inference(here: Services, sent: Fields) -> InferenceSubmission:
    """
    Read a form as clients of whisper.cpp's server send it; our own options may stand in it too.

    Raises:
        InvalidRequest: The value of a field that is known is not possible, or an option was given
            by two names.
    """
    options, ignored = split_known(sent, KNOWN)
    # Forms send an empty field if it was not filled in.
    options = {name: value for name, value in options.items() if value != ""}
    own = {n: options.pop(n) for n in InferenceFields.model_fields if n in options}
    fields = read_model(InferenceFields, own)
    _refuse_twice(own, options)
    if str(options.get("beam_size", "")).startswith("-"):  # whisper.cpp's own choice
        del options["beam_size"]
    implied = _implied(fields, options)
    submission = read_submission(here, options | implied)
    if fields.max_len and fields.response_format not in _CUES:
        ignored = (*ignored, "max_len")
    return DialectSubmission(submission, fields, ignored)


def _refuse_twice(own: Collection[str], options: Collection[str]) -> None:
    """One option may be given by whisper.cpp's name or by one of ours."""
    for name in options:
        for theirs, ours in RENAMED.items():
            if theirs in own and ALIASES.get(name, name) == ours:
                raise given_twice(theirs, name)


def _implied(fields: InferenceFields, sent: Fields) -> dict[str, Any]:
    """The options of ours that whisper.cpp's fields stand for."""
    options: dict[str, Any] = {
        ours: str(getattr(fields, theirs))
        for theirs, ours in RENAMED.items()
        if getattr(fields, theirs) is not None
    }
    if fields.translate:
        options["task"] = "translate"
    if fields.detect_language:
        options["language"] = "auto"
    if fields.carry_initial_prompt and "prompt" in sent and "hotwords" not in sent:
        options["hotwords"] = sent.pop("prompt")
    if fields.offset_t or fields.duration:
        ends = [fields.offset_t + fields.duration] if fields.duration else []
        options["clip_timestamps"] = ",".join(str(ms / 1000) for ms in (fields.offset_t, *ends))
    if fields.max_context == 0:
        options["condition_on_previous_text"] = "false"
    suppresses = fields.suppress_nst if fields.suppress_nst is not None else True
    if not suppresses or fields.suppress_non_speech is False:
        options["suppress_tokens"] = ""
    has_words = fields.response_format == "verbose_json" or fields.max_len > 0
    if has_words and "word_timestamps" not in sent and "align" not in sent:
        # Whisper's own times cost least, and whisper.cpp has no others.
        options |= {"word_timestamps": "true", "align": "false"}
    return options
