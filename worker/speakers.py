"""Speakers on words and segments: whose turn a word lies in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, groupby

from shared.transcript import Segment, SpeakerTurn, Word

NEAR_S = 0.5
"""A word in nobody's turn belongs to the nearest one within so many seconds."""


class _Turns:
    """Turns in time order, to be asked who speaks in a span."""

    def __init__(self, turns: Sequence[SpeakerTurn]) -> None:
        self._turns = sorted(turns, key=lambda turn: (turn.start, turn.end))
        self._starts = [turn.start for turn in self._turns]
        self._latest_ends = list(accumulate((turn.end for turn in self._turns), max))

    def speaker(self, start: float, end: float, before: str | None = None) -> str | None:
        """
        Who talks most between `start` and `end`, or nearest to it; None if nobody is near.

        Args:
            before: Who spoke before; of those who talk equally long, they go on.
        """
        near = self._near(start, end)
        talked: dict[str, float] = {}
        for turn in near:
            shared = min(end, turn.end) - max(start, turn.start)
            if shared > 0:
                talked[turn.speaker] = talked.get(turn.speaker, 0.0) + shared
        if talked:
            return max(talked, key=lambda speaker: (talked[speaker], speaker == before))
        gaps: dict[str, float] = {}
        for turn in near:
            gap = max(turn.start - end, start - turn.end, 0.0)
            gaps[turn.speaker] = min(gap, gaps.get(turn.speaker, gap))
        return min(gaps, key=lambda speaker: (gaps[speaker], speaker != before), default=None)

    def _near(self, start: float, end: float) -> list[SpeakerTurn]:
        """Turns that come within `NEAR_S` of a span, in time order."""
        i = bisect_right(self._starts, end + NEAR_S)
        found = []
        while i and self._latest_ends[i - 1] >= start - NEAR_S:
            i -= 1
            if self._turns[i].end >= start - NEAR_S:
                found.append(self._turns[i])
        return found[::-1]


def assign_speakers(segments: Sequence[Segment], turns: Sequence[SpeakerTurn]) -> list[Segment]:
    """
    Say of every word and segment who speaks; cut segments where the speaker changes.

    A word belongs to whoever talks most while it is said; where two talk equally
    long, to who had the word before. In nobody's turn it belongs to the nearest within
    half a second, else to the speaker of the word before it in its segment, or after
    it. A segment without words belongs to one speaker, by the same rules; a segment
    that nobody is near keeps `speaker=None`.

    A segment that is cut keeps its figures in every part, but not its tokens, which
    cannot be told apart by word. Segments are numbered anew.

    Args:
        segments: In time order.
        turns: Best without overlap (`Diarization.exclusive_turns`), in any order.

    >>> said = Segment(id=0, seek=0, start=0, end=2, text=" hi", tokens=(), temperature=0,
    ...                avg_logprob=0, compression_ratio=1, no_speech_prob=0)
    >>> turns = [SpeakerTurn(speaker="A", start=0, end=0.5),
    ...          SpeakerTurn(speaker="B", start=0.5, end=2)]
    >>> assign_speakers([said], turns)[0].speaker
    'B'
    """
    found = _Turns(turns)
    parts = [part for segment in segments for part in _assigned(segment, found)]
    return [part.model_copy(update={"id": i}) for i, part in enumerate(parts)]


def _assigned(segment: Segment, turns: _Turns) -> list[Segment]:
    if not segment.words:
        speaker = turns.speaker(segment.start, segment.end)
        return [segment.model_copy(update={"speaker": speaker})]
    words = _with_speakers(segment.words, turns)
    runs = [tuple(run) for _, run in groupby(words, key=lambda word: word.speaker)]
    if len(runs) == 1:
        return [segment.model_copy(update={"words": runs[0], "speaker": runs[0][0].speaker})]
    return _cut(segment, runs)


def _with_speakers(words: Sequence[Word], turns: _Turns) -> list[Word]:
    speakers: list[str | None] = []
    before: str | None = None
    for word in words:
        before = turns.speaker(word.start, word.end, before) or before
        speakers.append(before)
    first = next((speaker for speaker in speakers if speaker), None)
    return [
        word.model_copy(update={"speaker": speaker or first})
        for word, speaker in zip(words, speakers, strict=True)
    ]


def _cut(segment: Segment, runs: Sequence[tuple[Word, ...]]) -> list[Segment]:
    """One segment for each run of words of one speaker."""
    parts = []
    for i, words in enumerate(runs):
        is_first, is_last = i == 0, i == len(runs) - 1
        text = "".join(word.word for word in words)
        begin = segment.start if is_first else words[0].start
        end = segment.end if is_last else max(begin, words[-1].end)
        chars = segment.chars and tuple(
            char
            for char in segment.chars
            if (is_first or char.start >= begin) and (is_last or char.start < runs[i + 1][0].start)
        )
        change = {
            "start": begin,
            "end": end,
            "text": text if segment.text[:1].isspace() else text.lstrip(),
            "tokens": (),
            "words": words,
            "speaker": words[0].speaker,
            "chars": chars,
        }
        parts.append(segment.model_copy(update=change))
    return parts
