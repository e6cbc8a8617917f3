"""The form of OpenAI's audio routes: its own fields, and the options they stand for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.reading.fields import Fields, as_sent, parse_flag, read_model, split_known
from gateway.services import Services
from gateway.submission.engines import refuse_other_engine
from gateway.submission.models import is_offered
from gateway.submission.options import OPTION_NAMES, DialectSubmission, read_submission
from shared.errors import InvalidRequest
from shared.wire import ALIASES, LISTS

OPENAI_LISTS = LISTS | {"include", "keywords", "languages", "timestamp_granularities"}
"""Fields that may be given more than once."""

_STRATEGY = "chunking_strategy"
_VAD_OPTIONS = {
    "threshold": "vad_onset",
    "prefix_padding_ms": "speech_pad_ms",
    "silence_duration_ms": "min_silence_duration_ms",
}
"""For each of OpenAI's names, the option of ours that means the same."""

_PARTS = frozenset(f"{_STRATEGY}[{name}]" for name in ("type", *_VAD_OPTIONS))
"""The fields of a chunking strategy that is not sent as JSON."""

_SENT_AS = {ours: f"{_STRATEGY}[{name}]" for name, ours in _VAD_OPTIONS.items()} | {
    "hotwords": "keywords",
    "language": "languages",
}
"""For each of our options, the field of OpenAI's that it is made from."""


def _parts(value: object) -> object:
    """Split the items of a list at their commas."""
    if not isinstance(value, list):
        return value
    return [part.strip() for item in value for part in str(item).split(",") if part.strip()]


def _strategy(value: object) -> object:
    """Read a chunking strategy: `auto` gives `{}`; an object may also be sent as JSON."""
    found = value
    if isinstance(value, str) and value.strip().lower() != "auto":
        try:
            found = json.loads(value)
        except ValueError:
            found = None
    if found is None or not (isinstance(found, str) or _is_server_vad(found)):
        raise ValueError('chunking_strategy must be "auto" or {"type": "server_vad", …}')
    return {} if isinstance(found, str) else found


def _is_server_vad(value: object) -> bool:
    return isinstance(value, Mapping) and value.get("type", "server_vad") == "server_vad"


class _AudioFields(BaseModel):
    """The fields that both of OpenAI's audio routes have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timestamp_granularities: Annotated[
        tuple[Literal["word", "segment"], ...], BeforeValidator(_parts)
    ] = Field(
        (),
        description="What gets times in `verbose_json`: `word`, `segment` or both "
        "(`timestamp_granularities[]`); if omitted, both.",
    )
    language_format: Literal["code", "name"] = Field(
        "code",
        description="How `verbose_json` names the language: `code` (`en`), or `name` (`english`) "
        "as OpenAI does.",
    )

    @property
    def has_logprobs(self) -> bool:
        """Whether the answer says how sure each word is."""
        return "logprobs" in getattr(self, "include", ())


class TranslationFields(_AudioFields):
    """OpenAI's fields of a translation."""

    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = Field(
        "json", description="How the answer is written."
    )


class TranscriptionFields(_AudioFields):
    """OpenAI's fields of a transcription."""

    response_format: Literal["json", "text", "srt", "verbose_json", "vtt", "diarized_json"] = Field(
        "json", description="How the answer is written; `diarized_json` says who speaks, too."
    )
    stream: bool = Field(
        False, description="Send the text while it is made, as server-sent events."
    )
    include: Annotated[tuple[Literal["logprobs"], ...], BeforeValidator(_parts)] = Field(
        (), description="`logprobs`: how certain each word is (`include[]`)."
    )
    chunking_strategy: Annotated[dict[str, Any], BeforeValidator(_strategy)] = Field(
        default_factory=dict,
        description='`auto`, or `{"type": "server_vad"}` with `threshold`, `prefix_padding_ms` '
        "and `silence_duration_ms`, as JSON or one by one (`chunking_strategy[threshold]`).",
    )
    keywords: tuple[str, ...] = Field(
        (), max_length=100, description="Words to expect, as `hotwords` (`keywords[]`)."
    )
    languages: tuple[str, ...] = Field(
        (),
        description="Languages to expect (`languages[]`); if there are several, the language "
        "is detected.",
    )


OpenAIFields = TranscriptionFields | TranslationFields
OpenAISubmission = DialectSubmission[OpenAIFields]


def known_to_openai(kind: type[OpenAIFields]) -> frozenset[str]:
    """Every name that means something in the form of OpenAI's route with these fields."""
    names = OPTION_NAMES.union(kind.model_fields)
    parts = _PARTS if _STRATEGY in names else ()
    return names.union((f"{name}[]" for name in OPENAI_LISTS & names), parts)


def read_openai(here: Services, sent: Fields, kind: type[OpenAIFields]) -> OpenAISubmission:
    """
    Read a form as OpenAI's clients send it; our own options may stand in it as well.

    Args:
        kind: The fields of the route.

    Raises:
        InvalidRequest: The value of a field that is known is not possible.
        EngineNotAvailable: The model is another engine's.
    """
    own = kind.model_fields
    options, ignored = split_known(_gathered(sent), OPTION_NAMES.union(own))
    # Clients send an empty field if an option was not set.
    options = {name: value for name, value in options.items() if value != ""}
    fields: OpenAIFields = read_model(kind, {n: options.pop(n) for n in own if n in options})
    given = {ALIASES.get(name, name) for name in options}
    if "diarize" in given:  # it needs the most exact times of words
        given.add("align")
    implied = {name: v for name, v in _implied(fields).items() if name not in given}
    options |= implied
    if isinstance(fields, TranslationFields):
        options["task"] = "translate"
    is_diarized = fields.response_format == "diarized_json"
    # With `multichannel` each channel is a speaker: there is nothing to diarize.
    if is_diarized and not parse_flag("multichannel", str(options.get("multichannel", "no"))):
        options["diarize"] = "true"
    replaced = _replaced(here, str(options.get("model", "")))
    if replaced:
        options.pop("model")
    try:
        submission = read_submission(here, options)
    except InvalidRequest as error:
        sent_as = {ours: theirs for ours, theirs in _SENT_AS.items() if ours in implied}
        raise as_sent(error, sent_as) from error
    if isinstance(fields, TranscriptionFields):
        submission = replace(submission, is_streamed=fields.stream)
    return DialectSubmission(submission, fields, ignored, replaced)


def _replaced(here: Services, model: str) -> str:
    """
    The model that was asked for, if the default takes its place; else "".

    Raises:
        EngineNotAvailable: It is a model of an engine that Longhand does not have.
    """
    if here.settings.strict_models or is_offered(here, model):
        return ""
    refuse_other_engine(model, here.workers.live())
    return model


def _gathered(sent: Fields) -> Fields:
    """The fields, with those of one object (`chunking_strategy[type]` …) joined as JSON."""
    parts = {name[len(_STRATEGY) + 1 : -1]: value for name, value in sent.items() if name in _PARTS}
    if not parts or _STRATEGY in sent:
        return sent
    rest = {name: value for name, value in sent.items() if name not in _PARTS}
    return rest | {_STRATEGY: json.dumps(parts)}


def _implied(fields: OpenAIFields) -> dict[str, str]:
    """The options of ours that OpenAI's fields stand for."""
    options: dict[str, str] = {}
    granularities = fields.timestamp_granularities
    if "word" in granularities:
        options["word_timestamps"] = "true"
    elif fields.response_format == "verbose_json" and not granularities:
        # Some servers give words without being asked, and their clients read them. Whisper's own
        # times cost least.
        options |= {"word_timestamps": "true", "align": "false"}
    if isinstance(fields, TranslationFields):
        return options
    if fields.include and "word" not in granularities:
        options |= {"word_timestamps": "true", "align": "false"}
    for name, ours in _VAD_OPTIONS.items():
        if fields.chunking_strategy.get(name) is not None:
            options[ours] = str(fields.chunking_strategy[name])
    if fields.keywords:
        options["hotwords"] = ", ".join(fields.keywords)
    if len(fields.languages) == 1:
        options["language"] = fields.languages[0]
    return options
