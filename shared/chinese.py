"""Chinese in the script that a reader asks for. The transcript is stored as it was recognised."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Literal, TypeVar, cast

from shared.chinese_text import Converted, convert_text
from shared.errors import InvalidRequest
from shared.transcript import Character, Segment, Transcript, Word, join_text

_Timed = TypeVar("_Timed", Word, Character)

Variant = Literal[
    "none", "s2t", "s2tw", "s2twp", "s2hk", "t2s", "tw2s", "tw2sp", "hk2s", "t2tw", "t2hk"
]
VARIANTS: Mapping[Variant, str] = {
    "none": "As it was recognised.",
    "s2t": "Simplified to Traditional in OpenCC's own forms (裏, 喫, 麪).",
    "s2tw": "Simplified to Traditional as Taiwan writes it (裡, 吃, 麵).",
    "s2twp": "Simplified to Traditional with Taiwan's words too (软件 → 軟體, 鼠标 → 滑鼠).",
    "s2hk": "Simplified to Traditional as Hong Kong writes it.",
    "t2s": "Traditional in OpenCC's own forms to Simplified.",
    "tw2s": "Traditional as Taiwan writes it to Simplified.",
    "tw2sp": "Traditional with Taiwan's words to Simplified with the mainland's (軟體 → 软件).",
    "hk2s": "Traditional as Hong Kong writes it to Simplified.",
    "t2tw": "Traditional, from OpenCC's own forms to Taiwan's.",
    "t2hk": "Traditional, from OpenCC's own forms to Hong Kong's.",
}
CHINESE = frozenset({"yue", "zh"})
"""The languages that are converted. Conversion would damage Japanese, which shares characters."""


def find_variant(name: str) -> Variant:
    """
    Return the variant of that name.

    Raises:
        InvalidRequest: There is no such variant.
    """
    if name not in VARIANTS:
        raise InvalidRequest(
            f"chinese is {name[:64]!r}; it must be one of {', '.join(VARIANTS)}", param="chinese"
        )
    return cast(Variant, name)


def convert(transcript: Transcript, variant: Variant) -> Transcript:
    """
    The transcript in another script, if it is in Chinese.

    Segments are converted as one text: 发 becomes 髮 in 头发 and 發 in 发展, and a phrase may go on
    in the next word or segment. Times and tokens stay the same. If a phrase becomes shorter, a word
    or timed character may lose all its text; it is then merged into the one beside it.

    Returns:
        A new transcript whose `options` name the variant; the same one if it is not in Chinese.
    """
    if not is_chinese(transcript):
        return transcript
    options = transcript.options | {"chinese": variant}
    if variant == "none":
        return transcript.model_copy(update={"options": options})
    if any(segment.language not in (None, *CHINESE) for segment in transcript.segments):
        return _convert_in_part(transcript, variant).model_copy(update={"options": options})
    text = "".join(segment.text.strip() for segment in transcript.segments)
    whole = convert_text(text or transcript.text, variant)
    segments: list[Segment] = []
    written = spoken = 0  # where segments and words have arrived in `text`
    for segment in transcript.segments:
        start, written = written, written + len(segment.text.strip())
        new = _in_place(segment.text, whole.between(start, written))
        spans = _find(segment.words or (), text, spoken)
        words = segment.words and _convert_timed(segment.words, spans, whole, variant)
        at = _find(segment.chars or (), text, start)
        chars = segment.chars and _convert_timed(segment.chars, at, whole, variant)
        update = {"text": new, "words": words, "chars": chars}
        segments.append(segment.model_copy(update=update))
        spoken = spans[-1][1] if spans else max(spoken, written)
    return transcript.model_copy(
        update={"text": whole.text, "segments": tuple(segments), "options": options}
    )


def is_chinese(transcript: Transcript) -> bool:
    """Whether a transcript has Chinese text. Translations are in English."""
    spoken = {segment.language or transcript.language for segment in transcript.segments}
    spoken = spoken or {transcript.language}
    return transcript.task != "translate" and bool(spoken & CHINESE)


def _convert_in_part(transcript: Transcript, variant: Variant) -> Transcript:
    """Convert each run of Chinese segments by itself; the other segments stay the same."""
    segments: list[Segment] = []
    for language, run in groupby(transcript.segments, lambda s: s.language or transcript.language):
        part = tuple(run)
        if language in CHINESE:
            alone = tuple(segment.model_copy(update={"language": None}) for segment in part)
            chinese = transcript.model_copy(update={"segments": alone, "language": language})
            found = convert(chinese, variant).segments
            part = tuple(segment.model_copy(update={"language": language}) for segment in found)
        segments += part
    text = join_text(segments, transcript.language)
    return transcript.model_copy(update={"segments": tuple(segments), "text": text})


def _find(
    timed: Sequence[Word] | Sequence[Character], text: str, start: int
) -> list[tuple[int, int]]:
    """
    Find each word or character in the whole text, without the white space around it.

    A punctuation mark at the start of a segment may belong to the last word of the segment before,
    so the text of a single segment is not enough. There are no spans if the words spell something
    else.
    """
    spans: list[tuple[int, int]] = []
    for each in timed:
        core = _spelled(each).strip()
        found = text.find(core, start)
        if found < 0 or any(map(str.isalnum, text[start:found])):
            return []
        start = found + len(core)
        spans.append((found, start))
    return spans


def _convert_timed(
    timed: Sequence[_Timed], spans: Sequence[tuple[int, int]], whole: Converted, variant: Variant
) -> tuple[_Timed, ...]:
    """
    Words or characters as in the converted text; without spans, converted as their own text.

    One that loses all its text is merged into the one before it, or into the one after it at the
    start of a segment.
    """
    if not spans:
        own = "".join(map(_spelled, timed))
        whole, spans = convert_text(own, variant), _find(timed, own, 0)
    new = [
        _in_place(_spelled(each), whole.between(start, end))
        for each, (start, end) in zip(timed, spans, strict=True)
    ]
    kept = [n for n, text in enumerate(new) if text.strip()]
    if not kept:
        return ()
    owners = [kept[max(0, bisect_right(kept, n) - 1)] for n in range(len(new))]
    rewritten = []
    for owner, group in groupby(range(len(new)), key=owners.__getitem__):
        members = list(group)
        update = {
            "word" if isinstance(timed[owner], Word) else "char": "".join(new[n] for n in members),
            "start": timed[members[0]].start,
            "end": timed[members[-1]].end,
        }
        rewritten.append(timed[owner].model_copy(update=update))
    return tuple(rewritten)


def _spelled(timed: Word | Character) -> str:
    return timed.word if isinstance(timed, Word) else timed.char


def _in_place(old: str, new: str) -> str:
    """The new text with the white space around the old one."""
    before = old[: len(old) - len(old.lstrip())]
    return before + new + old[len(before) :][len(old.strip()) :]
