"""A segment as words with times, even if it has no timed words; no character is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from shared.formats.lines import atoms, may_break, printable, white_space, width_of
from shared.times import milliseconds
from shared.transcript import Segment, Word


@dataclass(frozen=True)
class Piece:
    """
    A word, or a part of a text that no line break may divide.

    Attributes:
        before: The white space before it: none, a space or a line break.
        text: The text, without white space around it.
        start, end: Milliseconds.
    """

    before: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Group:
    """Pieces that no line break may come between."""

    pieces: tuple[Piece, ...]

    @property
    def before(self) -> str:
        """The white space before it."""
        return self.pieces[0].before

    @property
    def start(self) -> int:
        """When it begins, in milliseconds."""
        return self.pieces[0].start

    @property
    def width(self) -> int:
        """Columns."""
        return sum(width_of(piece.text) for piece in self.pieces)


def pieces_of(segment: Segment) -> list[Piece]:
    """
    The words of a segment, spelled as in its text.

    If there are no words, or if they spell something else, the parts of the text share the
    segment's time by their width.

    Args:
        segment: Of a tidy transcript.
    """
    text = printable(segment.text).strip()
    for counts in (_is_written, str.isalnum):
        starts = _find_words(text, segment.words or (), counts)
        if starts:
            return list(_cut(text, starts))
    return list(_share(atoms(text), milliseconds(segment.start), milliseconds(segment.end)))


def group_pieces(pieces: Iterable[Piece], max_width: int) -> Iterator[Group]:
    """
    Groups of pieces that no line break may come between.

    Args:
        max_width: A wider group is cut where its characters allow it.
    """
    for run in _runs(pieces):
        group = Group(tuple(run))
        if group.width <= max_width:
            yield group
            continue
        for smaller in _runs(part for piece in run for part in _cut_up(piece)):
            yield Group(tuple(smaller))


def _runs(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    run: list[Piece] = []
    for piece in pieces:
        if run and (piece.before or may_break(run[-1].text[-1], piece.text[0])):
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _cut_up(piece: Piece) -> Iterator[Piece]:
    parts = _share(atoms(piece.text), piece.start, piece.end)
    for n, part in enumerate(parts):
        yield part if n else replace(part, before=piece.before)


def _is_written(char: str) -> bool:
    return not char.isspace()


def _find_words(
    text: str, words: Sequence[Word], counts: Callable[[str], bool]
) -> list[tuple[int, Word]]:
    """
    Find where each word begins in the text, by the characters that count.

    Returns:
        The index and the word, for words with such a character; nothing if the words spell
        something else.
    """
    places = [n for n, char in enumerate(text) if counts(char)]
    spelled = [(char, word) for word in words for char in printable(word.word) if counts(char)]
    if [text[n] for n in places] != [char for char, _ in spelled]:
        return []
    found: list[tuple[int, Word]] = []
    for place, (_, word) in zip(places, spelled, strict=True):
        if not found or found[-1][1] is not word:
            found.append((place, word))
    return found


def _cut(text: str, starts: Sequence[tuple[int, Word]]) -> Iterator[Piece]:
    """Cut a text where its words begin; text between two words belongs to the first."""
    places = [0, *(place for place, _ in starts[1:]), len(text)]
    white = ""
    for (place, following), (_, word) in zip(pairwise(places), starts, strict=True):
        cut = text[place:following]
        core = cut.rstrip()
        start, end = milliseconds(word.start), milliseconds(word.end)
        yield Piece(white, " ".join(core.split()), start, end)
        white = white_space(cut[len(core) :])


def _share(parts: Iterable[tuple[str, str]], start: int, end: int) -> Iterator[Piece]:
    """Give each part of a text a share of the time, by its width; each gets at least 1 ms."""
    listed = list(parts)
    widths = [width_of(text) for _, text in listed]
    whole = max(1, sum(widths))
    done = list(accumulate(widths, initial=0))
    times = [start + (end - start) * width // whole for width in done]
    if any(a == b for a, b in pairwise(times)) and len(listed) <= end - start:
        spare = end - start - len(listed)
        times = [start + n + spare * width // whole for n, width in enumerate(done)]
    for (before, text), (begins, ends) in zip(listed, pairwise(times), strict=True):
        yield Piece(before, text, begins, ends)
