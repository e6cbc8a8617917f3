"""The options of formats. The fields validate them, and the documentation is made from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import InvalidRequest
from shared.problems import describe_problem


class FormatOptions(BaseModel):
    """
    What a caller may choose besides the format.

    >>> FormatOptions(max_line_width=42).max_line_width
    42
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_line_width: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Columns of a line; a wide character, such as a Chinese one, takes two. If "
        "omitted, 1000. Only a single word may be wider.",
    )
    max_line_count: int | None = Field(
        None,
        ge=1,
        le=10,
        description="Lines of a cue; if omitted, as many as the segment needs. With "
        "`max_line_width`, a cue may go on into the next segment, up to a pause of 3 s.",
    )
    max_words_per_line: int | None = Field(
        None, ge=1, le=1000, description="Words of a line; without `max_line_count`, of a cue."
    )
    highlight_words: bool = Field(
        False, description="Make a cue for each word, in which that word is underlined (`<u>`)."
    )
    speakers: bool = Field(
        True, description="Say who speaks, if that is known: `[SPEAKER_00]: `, in VTT `<v Ann>`."
    )
    segment_resolution: Literal["sentence", "chunk"] = Field(
        "chunk",
        description="`sentence` cuts segments where sentences end, `chunk` leaves them whole.",
    )

    @property
    def shapes_lines(self) -> bool:
        """Whether cues differ from the segments."""
        limits = (self.max_line_width, self.max_line_count, self.max_words_per_line)
        return self.highlight_words or any(limit is not None for limit in limits)


DEFAULTS = FormatOptions()


def read_options(fields: Mapping[str, str]) -> FormatOptions:
    """
    Read the options of a format from the fields of a request.

    Raises:
        InvalidRequest: A value is not possible; the message names the field.
    """
    try:
        return FormatOptions.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise InvalidRequest(describe_problem(name, first), param=name) from error
