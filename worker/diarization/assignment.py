"""Speakers for words and segments, from the turns of a diarization."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from shared.transcript import Segment, SpeakerTurn, Word

_HEARD_S = 0.25
"""Only this much of a word counts on each side of its middle. Its start and its end are less exact,
above all beside a pause."""

_LONGEST_S = 1.0
"""A longer word includes the pause before it: only its end counts."""

_AFTER_SENTENCE_S = 0.02
_AFTER_CLAUSE_S = 0.06
_WITHIN_S = 0.12
"""The cost of a change of speaker after a full stop, after a comma or a pause, and elsewhere. A
change happens if more speech than this would lie outside the turns of the speaker before."""

_PAUSE_S = 0.3
_SENTENCE_ENDS = frozenset(".?!。？！…।؟")
_CLAUSE_ENDS = frozenset(",;:，；：、—–")
_CLOSING = "\"'”’»」』)）]"


class _Turns:
    """When each speaker talks."""

    def __init__(self, turns: Iterable[SpeakerTurn]) -> None:
        spans: dict[str, list[tuple[float, float]]] = {}
        for turn in sorted(turns, key=lambda turn: (turn.start, turn.end)):
            own = spans.setdefault(turn.speaker, [])
            if own and turn.start <= own[-1][1]:
                own[-1] = (own[-1][0], max(own[-1][1], turn.end))
            else:
                own.append((turn.start, turn.end))
        self._spans = spans
        self._ends = {speaker: [end for _, end in own] for speaker, own in spans.items()}

    def outside(self, speaker: str, start: float, end: float) -> float:
        """Seconds of a span outside a speaker's turns, plus the distance to the nearest of them."""
        spans = self._spans[speaker]
        i = bisect_left(self._ends[speaker], start)
        covered, gap = 0.0, start - spans[i - 1][1] if i else float("inf")
        while i < len(spans) and spans[i][0] < end:
            covered, gap = covered + min(end, spans[i][1]) - max(start, spans[i][0]), 0.0
            i += 1
        if i < len(spans):
            gap = min(gap, max(0.0, spans[i][0] - end))
        return end - start - covered + gap


def assign_speakers(
    segments: Sequence[Segment],
    turns: Sequence[SpeakerTurn],
    exclusive_turns: Sequence[SpeakerTurn] | None = None,
) -> list[Segment]:
    """
    Assign every word and segment to a speaker; cut segments where the speaker changes.

    The times of words and turns are both a little wrong: a word at the edge of a turn may seem to
    belong to another speaker. So a change of speaker has a cost, which is lowest after a sentence.
    The seconds of a word outside the turns of its speaker are a cost, too. The cheapest assignment
    of all words is taken (Viterbi). So a word that fills a turn belongs to that speaker, and one
    that lies across an edge goes with its sentence. A word outside all turns belongs to the nearest
    one. Without any turns, there is no speaker. A segment without words has one speaker.

    A segment that is cut keeps its figures in every part, but not its tokens, which do not
    correspond to words. Every part has a length. Segments are numbered anew.

    Args:
        segments: In time order.
        turns: In any order; those of different speakers may overlap.
        exclusive_turns: The same with one speaker at a time: the one who is heard best. None if the
            diarization has no such turns.

    >>> said = Segment(id=0, seek=0, start=0, end=2, text=" hi", tokens=(), temperature=0,
    ...                avg_logprob=0, compression_ratio=1, no_speech_prob=0)
    >>> turns = [SpeakerTurn(speaker="A", start=0, end=0.5),
    ...          SpeakerTurn(speaker="B", start=0.5, end=2)]
    >>> assign_speakers([said], turns)[0].speaker
    'B'
    """
    exclusive = turns if exclusive_turns is None else exclusive_turns
    units = [unit for segment in segments for unit in segment.words or (segment,)]
    speakers = iter(_cheapest(units, turns, exclusive))
    parts: list[Segment] = []
    for segment in segments:
        if segment.words:
            words = [word.model_copy(update={"speaker": next(speakers)}) for word in segment.words]
            parts += _cut(segment, words)
        else:
            parts.append(segment.model_copy(update={"speaker": next(speakers)}))
    return [part.model_copy(update={"id": i}) for i, part in enumerate(parts)]


def _cheapest(
    units: Sequence[Word | Segment], turns: Sequence[SpeakerTurn], exclusive: Sequence[SpeakerTurn]
) -> list[str | None]:
    """The speaker of each word, or segment without words: those that together cost least."""
    names = list(dict.fromkeys(turn.speaker for turn in sorted(turns, key=lambda t: t.start)))
    if not names:
        return [None] * len(units)
    speak_alone = {turn.speaker for turn in exclusive}
    never_alone = [turn for turn in turns if turn.speaker not in speak_alone]
    both = (_Turns(turns), _Turns([*exclusive, *never_alone]))
    paid = dict.fromkeys(names, 0.0)
    came_from: list[dict[str, str]] = []
    for i, unit in enumerate(units):
        best = min(names, key=paid.__getitem__)
        change = _cost_of_change(units[i - 1], unit) if i else 0.0
        before = {name: name if paid[name] <= paid[best] + change else best for name in names}
        start, end = _counted(unit)
        paid = {
            name: min(paid[name], paid[best] + change)
            + sum(each.outside(name, start, end) for each in both) / len(both)
            for name in names
        }
        came_from.append(before)
    return _traced(min(names, key=paid.__getitem__), came_from)


def _traced(last: str, came_from: Sequence[Mapping[str, str]]) -> list[str | None]:
    """The cheapest path, followed back from its end."""
    found: list[str | None] = []
    for before in reversed(came_from):
        found.append(last)
        last = before[last]
    return found[::-1]


def _counted(unit: Word | Segment) -> tuple[float, float]:
    """The part of a word or segment that counts, in seconds."""
    if isinstance(unit, Segment):
        return unit.start, unit.end
    if unit.end - unit.start > _LONGEST_S:
        return unit.end - 2 * _HEARD_S, unit.end
    middle = (unit.start + unit.end) / 2
    return max(unit.start, middle - _HEARD_S), min(unit.end, middle + _HEARD_S)


def _cost_of_change(before: Word | Segment, after: Word | Segment) -> float:
    text = before.text if isinstance(before, Segment) else before.word
    last = text.rstrip().rstrip(_CLOSING)[-1:]
    if last in _SENTENCE_ENDS:
        return _AFTER_SENTENCE_S
    is_apart = last in _CLAUSE_ENDS or after.start - before.end >= _PAUSE_S
    return _AFTER_CLAUSE_S if is_apart else _WITHIN_S


def _cut(segment: Segment, words: Sequence[Word]) -> list[Segment]:
    """Cut a segment into one for each run of words of one speaker."""
    runs = _runs_with_length(segment, words)
    if len(runs) == 1:
        return [segment.model_copy(update={"words": runs[0], "speaker": runs[0][0].speaker})]
    parts = []
    for i, run in enumerate(runs):
        is_first, is_last = i == 0, i == len(runs) - 1
        text = "".join(word.word for word in run)
        begin, end = _bounds(segment, run, is_first=is_first, is_last=is_last)
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
            "words": run,
            "speaker": run[0].speaker,
            "chars": chars,
        }
        parts.append(segment.model_copy(update=change))
    return parts


def _bounds(
    segment: Segment, run: Sequence[Word], *, is_first: bool, is_last: bool
) -> tuple[float, float]:
    return (
        segment.start if is_first else run[0].start,
        segment.end if is_last else run[-1].end,
    )


def _runs_with_length(segment: Segment, words: Sequence[Word]) -> list[tuple[Word, ...]]:
    """Runs of words of one speaker. A run of no length goes to the speaker beside it."""
    while True:
        runs = [tuple(run) for _, run in groupby(words, key=lambda word: word.speaker)]
        n = _without_length(segment, runs)
        if n is None:
            return runs
        speaker = runs[n - 1 if n else 1][0].speaker
        runs[n] = tuple(word.model_copy(update={"speaker": speaker}) for word in runs[n])
        words = [word for run in runs for word in run]


def _without_length(segment: Segment, runs: Sequence[Sequence[Word]]) -> int | None:
    """The index of the first run that would be a segment of no length; None if there is none."""
    if len(runs) == 1:
        return None
    for i, run in enumerate(runs):
        begin, end = _bounds(segment, run, is_first=i == 0, is_last=i == len(runs) - 1)
        if end <= begin:
            return i
    return None
