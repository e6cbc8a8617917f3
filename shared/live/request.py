"""The options of a live session."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from shared.chinese import Variant
from shared.languages import asked_language
from shared.request import MAX_PROMPT_CHARACTERS, MOST_SPEAKERS

Delay = Literal["low", "normal", "high"]


class LiveRequest(BaseModel):
    """
    What is asked of one live session. Each protocol makes one from what its clients send.

    >>> LiveRequest(model="base", language="English").language
    'en'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str = Field(description="A model's own name, as the catalogue has it.")
    language: str | None = Field(
        None, description="Language spoken; if omitted, or `auto`, it is detected."
    )
    task: Literal["transcribe", "translate"] = Field(
        "transcribe", description="`transcribe`, or `translate` into English."
    )
    also_translate: bool = Field(
        False, description="Whether each segment comes with a translation into English."
    )
    prompt: str | None = Field(
        None,
        max_length=MAX_PROMPT_CHARACTERS,
        description="Text before the audio: names and spellings to expect.",
    )
    hotwords: str | None = Field(
        None, max_length=MAX_PROMPT_CHARACTERS, description="Words to expect."
    )
    chinese: Variant = Field("none", description="Script that Chinese text is converted to.")
    diarize: bool = Field(False, description="Whether segments say who speaks.")
    max_speakers: int | None = Field(
        None, ge=1, le=MOST_SPEAKERS, description="Most speakers that are told apart."
    )
    endpoint_s: float = Field(
        0.4,
        ge=0.01,
        le=10.0,
        description="Silence, in seconds, after which an utterance counts as finished.",
    )
    delay: Delay = Field(
        "normal",
        description="`low` shows words sooner, `high` waits longer and makes fewer mistakes.",
    )

    @field_validator("language", mode="before")
    @classmethod
    def _known_language(cls, value: object) -> object:
        return asked_language(value)
