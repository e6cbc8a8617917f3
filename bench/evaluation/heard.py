"""What a system heard in a file, as processes and the work folder hold it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Part:
    """A segment or a word; times in seconds from the start of the file."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Heard:
    """
    All segments, in time order.

    Attributes:
        words: Only if they were asked for.
        cpu_s: CPU seconds that it took, with reading the file.
    """

    segments: tuple[Part, ...]
    words: tuple[Part, ...] = ()
    language: str = ""
    cpu_s: float = 0.0

    @property
    def text(self) -> str:
        """The whole text."""
        return " ".join(segment.text.strip() for segment in self.segments)

    def to_json(self) -> str:
        """The value as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> Heard:
        """Read what `to_json` wrote."""
        told: dict[str, Any] = json.loads(line)
        parts = {
            name: tuple(Part(**part) for part in told.pop(name)) for name in ("segments", "words")
        }
        return cls(**parts, **told)
