"""AssemblyAI's own fields of a request for a transcript."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.request import MAX_PROMPT_CHARACTERS, MOST_SPEAKERS

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_OURS = re.compile(
    r"(webhook-.*|host|connection|content-.*|transfer-encoding|te|trailer|upgrade|expect|"
    r"accept-encoding|keep-alive|proxy-.*)"
)
"""Headers of a message that callers may not set."""


def _header_name(value: object) -> object:
    if isinstance(value, str) and (
        not _HEADER_NAME.fullmatch(value) or _OURS.fullmatch(value.lower())
    ):
        raise ValueError(
            f"webhook_auth_header_name is {value[:64]!r}; it must be the name of a header, and "
            "none that HTTP or the signature needs"
        )
    return value


def _header_value(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isprintable()):
        raise ValueError("webhook_auth_header_value must be printable ASCII characters")
    return value


class SpeakerOptions(BaseModel):
    """How many people may speak."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    min_speakers_expected: int | None = Field(None, ge=1, le=MOST_SPEAKERS)
    max_speakers_expected: int | None = Field(None, ge=1, le=MOST_SPEAKERS)


_Words = Annotated[tuple[str, ...], BeforeValidator(lambda value: value or ())]


class TranscriptOptions(BaseModel):
    """AssemblyAI's fields, except those that have the name of an option of ours."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    audio_url: str = Field(
        min_length=1,
        max_length=8000,
        description="The `upload_url` of `/v2/upload`, or any http or https URL of the audio.",
    )
    language_code: str | None = Field(None, description="Same as `language`; `en_us` is `en`.")
    language_detection: bool | None = Field(
        None, description="Detect the language, as without `language_code`."
    )
    language_confidence_threshold: float | None = Field(
        None, ge=0, le=1, description="If the language is less certain, the transcript is an error."
    )
    speech_threshold: float | None = Field(
        None, ge=0, le=1, description="If less of the audio is speech, the transcript is an error."
    )
    speech_model: str | None = Field(None, max_length=200, description="Same as `model`.")
    speech_models: _Words = Field(
        (), max_length=20, description="Models; the first that this site has is used."
    )
    speaker_labels: bool | None = Field(None, description="Say who speaks, as `diarize`.")
    speakers_expected: int | None = Field(
        None, ge=1, le=MOST_SPEAKERS, description="Same as `num_speakers`."
    )
    speaker_options: SpeakerOptions | None = Field(
        None, description="`min_speakers_expected` and `max_speakers_expected`."
    )
    dual_channel: bool | None = Field(None, description="Same as `multichannel`.")
    word_boost: _Words = Field((), max_length=1000, description="Words to expect, as `hotwords`.")
    keyterms_prompt: _Words = Field(
        (), max_length=1000, description="Words to expect, as `hotwords`."
    )
    punctuate: bool | None = Field(None, description="`false` removes punctuation.")
    format_text: bool | None = Field(None, description="`false` writes only small letters.")
    audio_start_from: int | None = Field(None, ge=0, description="Where to begin, in ms.")
    audio_end_at: int | None = Field(None, ge=1, description="Where to end, in ms.")
    webhook_url: str | None = Field(
        None, max_length=2000, description="URL to which a message is sent when the job has ended."
    )
    webhook_auth_header_name: Annotated[str | None, BeforeValidator(_header_name)] = Field(
        None, description="The name of a header in that message."
    )
    webhook_auth_header_value: Annotated[str | None, BeforeValidator(_header_value)] = Field(
        None, max_length=2000, description="The value of that header."
    )

    @property
    def hotwords(self) -> str:
        """The words to expect."""
        return ", ".join((*self.keyterms_prompt, *self.word_boost))[:MAX_PROMPT_CHARACTERS]

    def kept(self) -> dict[str, Any]:
        """The fields that are needed again when the transcript is read."""
        return self.model_dump(mode="json", exclude_defaults=True)
