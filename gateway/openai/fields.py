"""The form of OpenAI's audio routes: its own fields, and what they mean as options of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway.reading.fields import Fields, as_sent, parse_flag, read_model, split_known
from gateway.services import Services
from gateway.submission.engines import refuse_other_engine
from gateway.submission.models import is_offered
from gateway.submission.options import JobOptions, Submission, read_submission
from shared.errors import InvalidRequest
from shared.request import TranscriptionRequest
from shared.wire import ALIASES, LISTS

OPENAI_LISTS = LISTS | {"include", "keywords", "languages", "timestamp_granularities"}
"""Fields that may be given again and again."""

_STRATEGY = "chunking_strategy"
_VAD_OPTIONS = {
    "threshold": "vad_onset",
    "prefix_padding_ms": "speech_pad_ms",
    "silence_duration_ms": "min_silence_duration_ms",
}
"""By OpenAI's names, our options that say the same."""

_PARTS = frozenset(f"{_STRATEGY}[{name}]" for name in ("type", *_VAD_OPTIONS))
"""The fields of a strategy that is not sent as JSON."""

_SENT_AS = {ours: f"{_STRATEGY}[{name}]" for name, ours in _VAD_OPTIONS.items()} | {
    "hotwords": "keywords",
    "language": "languages",
}
"""The fields of OpenAI's that become options of ours."""


def _parts(value: object) -> object:
    """A list whose items may themselves be written with commas."""
    if not isinstance(value, list):
        return value
    return [part.strip() for item in value for part in str(item).split(",") if part.strip()]


def _strategy(value: object) -> object:
    """`auto`, or an object, which may be written as JSON; its type and our options of it."""
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
    """What both of OpenAI's audio routes take beside the options of every request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timestamp_granularities: Annotated[
        tuple[Literal["word", "segment"], ...], BeforeValidator(_parts)
    ] = Field(
        (),
        description="What `verbose_json` times: `word`, `segment` or both "
        "(`timestamp_granularities[]`); omitted, both.",
    )
    language_format: Literal["code", "name"] = Field(
        "code",
        description="How `verbose_json` names the language: `code` (`en`), or `name` (`english`) "
        "as OpenAI does.",
    )


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
        (), description="`logprobs`: how sure each word is (`include[]`)."
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
        (), description="Languages to expect (`languages[]`); several are left to be detected."
    )


@dataclass(frozen=True)
class OpenAISubmission(Submission):
    """
    What a caller of OpenAI's routes sent.

    Attributes:
        fields: Those of OpenAI's own.
        ignored: Names of fields that mean nothing here.
        replaced: The model that was asked for, where the default took its place; else "".
    """

    fields: TranscriptionFields | TranslationFields = TranscriptionFields()
    ignored: tuple[str, ...] = ()
    replaced: str = ""

    @property
    def has_logprobs(self) -> bool:
        """Whether it is to be said how sure each word is."""
        return "logprobs" in getattr(self.fields, "include", ())


def is_known_to_openai(name: str, *, is_translation: bool) -> bool:
    """Whether a field means anything on the route for translations, or on the other."""
    kind: type[_AudioFields] = TranslationFields if is_translation else TranscriptionFields
    if name.removesuffix("[]") in OPENAI_LISTS:
        name = name.removesuffix("[]")
    if name in _PARTS:
        name = _STRATEGY
    own = (TranscriptionRequest.model_fields, JobOptions.model_fields, ALIASES, kind.model_fields)
    return any(name in names for names in own)


def read_openai(
    here: Services, sent: Fields, filename: str, *, is_translation: bool
) -> OpenAISubmission:
    """
    Read a form as OpenAI's clients send it; our own options may stand in it as well.

    Raises:
        InvalidRequest: The value of a field that is known is not possible.
        EngineNotAvailable: The model is another engine's.
    """
    kind: type[TranscriptionFields | TranslationFields]
    kind = TranslationFields if is_translation else TranscriptionFields
    own = [*TranscriptionRequest.model_fields, *JobOptions.model_fields, *ALIASES]
    known = {*own, *kind.model_fields}
    options, ignored = split_known(_gathered(sent), known)
    # Clients send fields they have nothing for as empty ones.
    options = {name: value for name, value in options.items() if value != ""}
    fields = read_model(kind, {n: options.pop(n) for n in kind.model_fields if n in options})
    given = {ALIASES.get(name, name) for name in options}
    if "diarize" in given:  # which needs words timed as well as can be
        given.add("align")
    implied = {name: v for name, v in _implied(fields).items() if name not in given}
    options |= implied
    if is_translation:
        options["task"] = "translate"
    is_diarized = getattr(fields, "response_format", None) == "diarized_json"
    # Of channels each is a speaker, and nobody has to be told apart.
    if is_diarized and not parse_flag("multichannel", str(options.get("multichannel", "no"))):
        options["diarize"] = "true"
    replaced = _replaced(here, str(options.get("model", "")))
    if replaced:
        options.pop("model")
    try:
        read = read_submission(here, options, filename)
    except InvalidRequest as error:
        sent_as = {ours: theirs for ours, theirs in _SENT_AS.items() if ours in implied}
        raise as_sent(error, sent_as) from error
    return OpenAISubmission(
        read.request,
        read.filename,
        job=read.job,
        is_streamed=isinstance(fields, TranscriptionFields) and fields.stream,
        fields=fields,
        ignored=ignored,
        replaced=replaced,
    )


def _replaced(here: Services, model: str) -> str:
    """
    The model that was asked for, if the default is to take its place; else "".

    Raises:
        EngineNotAvailable: It is another engine's, of which is said that it is not here.
    """
    if here.settings.strict_models or is_offered(here, model):
        return ""
    refuse_other_engine(model, here.workers.live())
    return model


def _gathered(sent: Fields) -> Fields:
    """The fields, with those of an object (`chunking_strategy[type]`) put together as JSON."""
    parts = {name[len(_STRATEGY) + 1 : -1]: value for name, value in sent.items() if name in _PARTS}
    if not parts or _STRATEGY in sent:
        return sent
    rest = {name: value for name, value in sent.items() if name not in _PARTS}
    return rest | {_STRATEGY: json.dumps(parts)}


def _implied(fields: TranscriptionFields | TranslationFields) -> dict[str, str]:
    """Options of ours that OpenAI's fields mean."""
    options: dict[str, str] = {}
    granularities = fields.timestamp_granularities
    if "word" in granularities:
        options["word_timestamps"] = "true"
    elif fields.response_format == "verbose_json" and not granularities:
        # Some servers give words unasked, and their clients read them; Whisper's own times cost
        # least.
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
