"""What an alignment is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.languages import WITHOUT_SPACES

Method = Literal["nearest", "linear", "ignore"]
"""How characters are timed that a model cannot spell; see `times.Interpolation`."""


@dataclass(frozen=True)
class AlignmentOptions:
    """
    How words are aligned.

    Attributes:
        language: Whisper's code of the language that is spoken.
        interpolate: How characters are timed that the model cannot spell: digits, other scripts.
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
