"""Where a line may break, and how wide a text is."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from shared.languages import WITHOUT_SPACES
from shared.transcript import Segment, Transcript

_CONTROLS = dict.fromkeys(
    [*range(0x09), *range(0x0E, 0x1C), 0x7F, *range(0x80, 0x85), *range(0x86, 0xA0)]
    + [*range(0xD800, 0xE000), 0xFFFE, 0xFFFF]
) | dict.fromkeys(range(0x1C, 0x20), " ")
"""Characters that text files and XML must not hold. Python counts the four separators,
0x1C to 0x1F, as white space."""

_WHITE = re.compile(r"\s*[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]\s*")

_NEVER_FIRST = frozenset(
    "、。，．・：；？！!?,.:;%％‰°℃…‥ー々〻〜～ゝゞヽヾ"
    "ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶ｡､･｣､"
    "ะาำๅๆฯะາຳໆຯ"  # vowels and signs of Thai and Lao that follow their consonant
)
"""Characters that never begin a line, besides closing brackets, closing quotes and diacritics."""

_NEVER_LAST = frozenset("เแโใไເແໂໃໄ")
"""Vowels of Thai and Lao that precede their consonant. Opening brackets never end a line either."""

_ZERO_WIDTH_JOINER = "\u200d"
_WITHOUT_SPACES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff]")


def width_of(text: str) -> int:
    """
    The columns of a text; wide characters take two.

    >>> width_of("Hello"), width_of("你好。"), width_of("ｶﾅ")
    (5, 6, 2)
    """
    return sum(2 if unicodedata.east_asian_width(c) in "FW" else 1 for c in text)


def may_break(before: str, after: str) -> bool:
    """
    Whether a line may break between two characters without white space between them.

    In scripts without spaces it may, except before a closing and after an opening mark.

    >>> [may_break(*pair) for pair in ("你好", "好。", "「你", "用P", "Py", "한국", "สว")]
    [True, False, False, True, False, False, True]
    """
    if not (_stands_alone(before) or _stands_alone(after)):
        return False
    return not (_never_last(before) or _never_first(after))


def atoms(text: str) -> Iterator[tuple[str, str]]:
    r"""
    The parts of a text that no line break may divide.

    Yields:
        The white space before the part (`""`, a space or a line break), and the part.

    >>> list(atoms(" so it\nis「你好」"))
    [('', 'so'), (' ', 'it'), ('\n', 'is'), ('', '「你'), ('', '好」')]
    """
    white = ""
    for part in re.split(r"(\s+)", text.strip()):
        if part.isspace():
            white = white_space(part)
            continue
        start = 0
        for n in range(1, len(part)):
            if may_break(part[n - 1], part[n]):
                yield white, part[start:n]
                white, start = "", n
        if part:
            yield white, part[start:]
        white = ""


def white_space(between: str) -> str:
    """Reduce white space to a line break, a space, or nothing."""
    return "\n" if len(f"-{between}-".splitlines()) > 1 else " " if between else ""


def printable(text: str) -> str:
    r"""
    A text without control characters other than white space.

    >>> printable("a\0b\tc\x1fd")
    'ab\tc d'
    """
    return text.translate(_CONTROLS)


def one_line(text: str, space: str = " ") -> str:
    r"""
    Put a text on one line: tabs and line breaks become a space, or `space`.

    >>> one_line(" so\tit\nis"), one_line("你\n好", "")
    ('so it is', '你好')
    """
    return space.join(filter(None, _WHITE.split(printable(text).strip())))


def has_spaces(transcript: Transcript, segment: Segment | None = None) -> bool:
    """Whether the language of a transcript, or of one segment, puts spaces between words."""
    language = (segment and segment.language) or transcript.language
    return transcript.task == "translate" or language not in WITHOUT_SPACES


def space_of(transcript: Transcript, segment: Segment | None = None) -> str:
    """What joins two texts: a space, or nothing."""
    return " " if has_spaces(transcript, segment) else ""


def _stands_alone(char: str) -> bool:
    """Whether a character belongs to a script without spaces between words."""
    if _WITHOUT_SPACES.match(char):
        return True
    return unicodedata.east_asian_width(char) in "FWH" and not _HANGUL.match(char)


def _never_first(char: str) -> bool:
    # Closing brackets and quotes, diacritics and modifiers, format characters.
    category = unicodedata.category(char)
    return char in _NEVER_FIRST or category in ("Pe", "Pf", "Mn", "Mc", "Me", "Sk", "Cf")


def _never_last(char: str) -> bool:
    opens = unicodedata.category(char) in ("Ps", "Pi", "Sc")
    return opens or char in _NEVER_LAST or char == _ZERO_WIDTH_JOINER
