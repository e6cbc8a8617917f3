"""What all who answer with Whisper's segments have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class WhisperSegment(BaseModel):
    """All that Whisper says of a phrase; times in seconds, `seek` in frames of 10 ms."""

    model_config = ConfigDict(extra="forbid")

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
