"""Segments cut into sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from shared.formats.lines import may_break
from shared.formats.pieces import Piece, pieces_of
from shared.formats.tidy import tidy
from shared.transcript import Segment, Transcript

_CLOSING = r"[\"'»”’)\]」』）】》〉]*"
_END = re.compile(rf"[.!?]+{_CLOSING}$")
_END_ANYWHERE = re.compile(rf"[。！？｡؟۔।॥።။។]+[.!?]*{_CLOSING}$")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'“‘])(?:[^\W\d_i](?:\.[^\W\d_])*|i\.e|"
    r"mr|mrs|ms|mx|dr|prof|st|sr|jr|vs|vol|fig|approx|inc|ltd|gen|sgt|capt|rev|hr|fr|bzw|mme|mlle)"
    r"\.$",
    re.IGNORECASE,
)

_LOOKED_AT = 8
"""Words at the end of a text that are looked at to see whether a sentence ends there."""


def split_sentences(transcript: Transcript) -> Transcript:
    """
    The transcript with one segment for each sentence.

    A sentence begins and ends with its words; without word times, it gets a share of the segment's
    time. A sentence that goes on in the next segment stays in two parts. Parts of a segment have
    no tokens.

    Args:
        transcript: As `tidy` gives it.
    """
    parts = [part for segment in transcript.segments for part in _parts(segment)]
    numbered = tuple(part.model_copy(update={"id": n}) for n, part in enumerate(parts))
    return tidy(transcript.model_copy(update={"segments": numbered}))


def _parts(segment: Segment) -> Iterator[Segment]:
    sentences = list(_sentences(pieces_of(segment)))
    if len(sentences) < 2:
        yield segment
        return
    leading = segment.text[: len(segment.text) - len(segment.text.lstrip())]
    starts = [segment.start, *(pieces[0].start / 1000 for pieces in sentences[1:])]
    ends = [*(pieces[-1].end / 1000 for pieces in sentences[:-1]), segment.end]
    for n, pieces in enumerate(sentences):
        text = "".join(piece.before + piece.text for piece in pieces)
        changed: dict[str, Any] = {"start": starts[n], "end": ends[n], "tokens": ()}
        changed["text"] = text if n else leading + text
        since = starts[n] if n else -1.0
        until = starts[n + 1] if n + 1 < len(sentences) else segment.end + 1
        for name in ("words", "chars"):
            timed = getattr(segment, name)
            if timed is not None:
                changed[name] = tuple(value for value in timed if since <= value.start < until)
        yield segment.model_copy(update=changed)


def _sentences(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    sentence: list[Piece] = []
    for piece, following in pairwise([*pieces, None]):
        assert piece is not None
        sentence.append(piece)
        text = "".join(part.before + part.text for part in sentence[-_LOOKED_AT:])
        if following is None or ends_sentence(text, following.before, following.text):
            yield sentence
            sentence = []


def ends_sentence(text: str, white: str, following: str) -> bool:
    """
    Whether a sentence ends between two texts.

    Args:
        text: The sentence, or its last words.
        white: The white space between them.
        following: The text after it, at least one character.

    >>> [ends_sentence("It is.", " ", "So"), ends_sentence("Dr.", " ", "No")]
    [True, False]
    >>> [ends_sentence("好。", "", "你"), ends_sentence("好。", "", "」")]
    [True, False]
    """
    if _END_ANYWHERE.search(text):
        return bool(white) or may_break("好", following[0])
    if not _END.search(text) or _ABBREVIATION.search(text):
        return False
    if not white:
        return not following[0].isascii() and may_break("好", following[0])
    return not following[0].islower()
