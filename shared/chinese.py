"""Chinese in the script a reader asks for; what is stored is what was recognised."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, groupby
from typing import Literal, cast

from shared.chinese_text import Converted, convert_text
from shared.errors import InvalidRequest
from shared.transcript import Segment, Transcript, Word

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
"""The languages that are converted. Japanese shares the characters and would be damaged."""


def find_variant(name: str) -> Variant:
    """
    Return the variant of that name.

    Raises:
        InvalidRequest: There is none.
    """
    if name not in VARIANTS:
        raise InvalidRequest(
            f"chinese is {name[:64]!r}; it must be one of {', '.join(VARIANTS)}", param="chinese"
        )
    return cast(Variant, name)


def convert(transcript: Transcript, variant: Variant) -> Transcript:
    """
    The transcript in another script, if it is in Chinese.

    Its segments are converted as one text, since 发 is 髮 in 头发 and 發 in 发展, even where a
    phrase runs from one word or segment into the next. Times stay. A word that is left without
    a character, where a phrase became shorter, goes into the word beside it.

    Returns:
        A new transcript whose `options` name the variant; the same if it is not in Chinese.
    """
    if transcript.language not in CHINESE or transcript.task == "translate":
        return transcript
    options = transcript.options | {"chinese": variant}
    if variant == "none":
        return transcript.model_copy(update={"options": options})
    texts = [segment.text.strip() for segment in transcript.segments]
    whole = convert_text("".join(texts) or transcript.text, variant)
    starts = accumulate(map(len, texts), initial=0)
    segments = tuple(
        _rewrite(segment, text, whole.part(start, start + len(text)), variant)
        for segment, text, start in zip(transcript.segments, texts, starts, strict=False)
    )
    return transcript.model_copy(
        update={"text": whole.text, "segments": segments, "options": options}
    )


def _rewrite(segment: Segment, text: str, part: Converted, variant: Variant) -> Segment:
    """
    Put the converted text into a segment and its words.

    Args:
        text: The segment's, without the white space around it; what `part` was made of.
    """
    update: dict[str, object] = {"text": _in_place(segment.text, part.text)}
    if segment.words:
        spans = _find(segment.words, text)
        if spans is None:  # the words do not spell the segment's text, but one of their own
            text = "".join(word.word for word in segment.words)
            spans, part = _find(segment.words, text) or [], convert_text(text, variant)
        texts = [part.text[part.offset(start) : part.offset(end)] for start, end in spans]
        update["words"] = _rewrite_words(segment.words, texts)
    return segment.model_copy(update=update)


def _find(words: Sequence[Word], text: str) -> list[tuple[int, int]] | None:
    """Where each word stands, without white space around it; None if one is not in the text."""
    spans, end = [], 0
    for word in words:
        start = text.find(word.word.strip(), end)
        if start < 0:
            return None
        end = start + len(word.word.strip())
        spans.append((start, end))
    return spans


def _rewrite_words(words: Sequence[Word], texts: Sequence[str]) -> tuple[Word, ...]:
    """
    Give words their new texts; one without any goes into the one before it.

    At the start, where none is before it, it goes into the one after it.
    """
    new = [_in_place(word.word, text) for word, text in zip(words, texts, strict=True)]
    kept = [n for n, text in enumerate(new) if text.strip()]
    if not kept:
        return ()
    owners = [kept[max(0, bisect_right(kept, n) - 1)] for n in range(len(new))]
    rewritten = []
    for owner, group in groupby(range(len(new)), key=owners.__getitem__):
        members = list(group)
        update = {
            "word": "".join(new[n] for n in members),
            "start": words[members[0]].start,
            "end": words[members[-1]].end,
        }
        rewritten.append(words[owner].model_copy(update=update))
    return tuple(rewritten)


def _in_place(old: str, new: str) -> str:
    """The new text with the white space that the old one has around it."""
    before = old[: len(old) - len(old.lstrip())]
    return before + new + old[len(before) :][len(old.strip()) :]
