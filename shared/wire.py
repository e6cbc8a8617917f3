"""How options are written in forms and queries, where every value is text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field

ALIASES: Mapping[str, str] = {
    "initial_prompt": "prompt",
    "log_prob_threshold": "logprob_threshold",
    "neg_threshold": "vad_offset",
    "return_speaker_embeddings": "speaker_embeddings",
    "temperature_inc": "temperature_increment",
    "temperature_increment_on_fallback": "temperature_increment",
    "vad_filter": "vad",
    "vad_threshold": "vad_onset",
}
"""Other names of fields: those of whisperx, faster-whisper, whisper and whisper.cpp."""

LISTS = frozenset({"known_speaker_names", "known_speaker_references"})
"""Fields that are sent once for each item."""


def _or_none(value: object) -> object:
    """None for `none`, which switches a threshold off."""
    return None if isinstance(value, str) and value.strip().lower() in ("none", "null") else value


def numbers(value: object) -> object:
    """A list of numbers from a text with commas."""
    if isinstance(value, str):
        return [part for part in value.strip().strip("[]").split(",") if part.strip()]
    return [value] if isinstance(value, int | float) else value


def names(value: object) -> object:
    """A JSON object from its text."""
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError('speaker_names must be a JSON object such as {"SPEAKER_00": "Ann"}')
    return found


Threshold = Annotated[float | None, BeforeValidator(_or_none)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
