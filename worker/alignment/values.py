"""The options of an alignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.languages import WITHOUT_SPACES

Method = Literal["nearest", "linear", "ignore"]
"""How characters that a model cannot spell are timed; see `times.Interpolation`."""


@dataclass(frozen=True)
class AlignmentOptions:
    """
    How words are aligned.

    Attributes:
        language: Whisper's code of the language that is spoken.
        interpolate: How characters that the model cannot spell are timed: digits, other scripts.
        wants_characters: Whether `Segment.chars` is filled.
        after_s, before_s: When the segment before these ends and the one after them begins.
    """

    language: str
    interpolate: Method = "nearest"
    wants_characters: bool = False
    after_s: float | None = None
    before_s: float | None = None

    @property
    def has_spaces(self) -> bool:
        """Whether words of the language are separated by spaces."""
        return self.language not in WITHOUT_SPACES
