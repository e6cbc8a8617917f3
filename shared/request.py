"""What may be asked of a transcription: the fields validate, travel to the worker and document."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from shared.chinese import Variant
from shared.languages import language_code

MAX_PROMPT_CHARACTERS = 10_000


class TranscriptionRequest(BaseModel):
    """
    The options of one job. Its audio is stored beside it (`jobs.StoredAudio`).

    >>> TranscriptionRequest(language="Chinese").language
    'zh'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str | None = Field(
        None, max_length=200, description="Model name; omitted, the site's default model."
    )
    language: str | None = Field(
        None,
        description="Language spoken: a code (`zh`), a name (`Chinese`), or `auto` to detect it.",
    )
    task: Literal["transcribe", "translate"] = Field(
        "transcribe", description="`transcribe`, or `translate` into English."
    )
    timestamps: bool | None = Field(
        None, description="Whether the answer holds `segments`; omitted, the route decides."
    )
    word_timestamps: bool = Field(False, description="Give every word its own times.")
    prompt: str | None = Field(
        None,
        max_length=MAX_PROMPT_CHARACTERS,
        description="Text before the audio: names and spellings to expect.",
    )
    temperature: float = Field(
        0.0, ge=0.0, le=1.0, description="Sampling temperature; 0 takes the most likely words."
    )
    chinese: Variant | None = Field(
        None,
        description="Script that Chinese is read in, which a reader may choose again; omitted, "
        "the site's own.",
    )

    @field_validator("language", mode="before")
    @classmethod
    def _known_language(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if value.strip().lower() in ("", "auto"):
            return None
        code = language_code(value)
        if code is None:
            raise ValueError(f"language {value!r} is not known; give a code such as 'en' or 'zh'")
        return code

    @field_validator("model", mode="before")
    @classmethod
    def _no_empty_model(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("prompt", "chinese", mode="before")
    @classmethod
    def _no_empty_text(cls, value: object) -> object:
        return None if value == "" else value
