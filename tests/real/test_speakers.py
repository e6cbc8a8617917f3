"""Who says which word, of dialogues of real people whose turns are known."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from shared.transcript import Segment, SpeakerTurn, Transcript, Word
from worker.diarizers import is_installed
from worker.speakers import assign_speakers

Hear = Callable[..., Transcript]


class Dialogue(NamedTuple):
    """What `base` writes of a dialogue, and when who speaks in it."""

    segments: tuple[Segment, ...]
    turns: list[SpeakerTurn]


def read_rttm(path: Path) -> list[SpeakerTurn]:
    """The turns that a file of NIST's tells."""
    rows = (line.split() for line in path.read_text().splitlines() if line)
    return [
        SpeakerTurn(speaker=row[7], start=float(row[3]), end=float(row[3]) + float(row[4]))
        for row in rows
    ]


def _recordings(dialogues: Path) -> Iterator[Path]:
    yield from sorted(dialogues.glob("D*.wav"))
    if is_installed("pyannote.audio") and (found := find_spec("pyannote.audio")):
        for folder in found.submodule_search_locations or ():
            yield Path(folder) / "sample" / "sample.wav"


@pytest.fixture(scope="module")
def dialogues(hear: Hear, speech_dir: Path) -> list[Dialogue]:
    """Quick turns of two, four and five voices, and a telephone call where pyannote is here."""
    return [
        Dialogue(
            hear(path, word_timestamps=True, align=False).segments,
            read_rttm(path.with_suffix(".rttm")),
        )
        for path in _recordings(speech_dir / "dialogues")
    ]


def middle(word: Word) -> float:
    return (word.start + word.end) / 2


def words_of(parts: Iterable[Segment]) -> list[Word]:
    return [word for part in parts for word in part.words or ()]


def n_right(words: Iterable[Word], turns: Sequence[SpeakerTurn]) -> int:
    """Words whose middle lies in a turn of their speaker's."""
    return sum(
        any(t.speaker == word.speaker and t.start <= middle(word) <= t.end for t in turns)
        for word in words
    )


def n_strays(words: Sequence[Word]) -> int:
    """Words by another speaker than both beside them."""
    triples = zip(words, words[1:], words[2:], strict=False)
    return sum(a.speaker == c.speaker != b.speaker for a, b, c in triples)


def by_overlap(segments: Iterable[Segment], turns: Sequence[SpeakerTurn]) -> list[Word]:
    """Each word by whoever talks most while it is said, as whisperx has it."""
    found = []
    for word in words_of(segments):
        talked: dict[str | None, float] = {None: 0.0}
        for turn in turns:
            shared = min(word.end, turn.end) - max(word.start, turn.start)
            if shared > 0:
                talked[turn.speaker] = talked.get(turn.speaker, 0.0) + shared
        found.append(word.model_copy(update={"speaker": max(talked, key=talked.__getitem__)}))
    return found


def one_at_a_time(turns: Sequence[SpeakerTurn]) -> list[SpeakerTurn]:
    """Turns that begin where those before have ended."""
    kept: list[SpeakerTurn] = []
    for turn in sorted(turns, key=lambda turn: (turn.start, turn.end)):
        end = kept[-1].end if kept else 0.0
        if turn.end > end:
            kept.append(turn.model_copy(update={"start": max(turn.start, end)}))
    return kept


def told_badly(turns: Sequence[SpeakerTurn], seed: int) -> tuple[list[SpeakerTurn], ...]:
    """Turns as a diarizer tells them: edges are off, scraps of other speakers in between."""
    draw = random.Random(seed)
    off = [
        turn.model_copy(
            update={
                "start": max(0.0, turn.start + draw.gauss(0, 0.12)),
                "end": turn.end + draw.gauss(0, 0.12),
            }
        )
        for turn in turns
        if turn.end - turn.start > 0.5
    ]
    names = sorted({turn.speaker for turn in turns})
    scraps, alone = [], []
    for turn in one_at_a_time(off):
        if turn.end - turn.start < 1.5:
            alone.append(turn)
            continue
        start = draw.uniform(turn.start + 0.3, turn.end - 0.8)
        other = draw.choice([name for name in names if name != turn.speaker])
        scrap = SpeakerTurn(speaker=other, start=start, end=start + draw.uniform(0.1, 0.3))
        scraps.append(scrap)
        alone += [
            turn.model_copy(update={"end": scrap.start}),
            scrap,
            turn.model_copy(update={"start": scrap.end}),
        ]
    return [*off, *scraps], alone


def test_words_go_to_who_says_them(dialogues: list[Dialogue]) -> None:
    right = n_words = simple = 0
    for segments, turns in dialogues:
        words = words_of(assign_speakers(segments, turns, one_at_a_time(turns)))
        right, n_words = right + n_right(words, turns), n_words + len(words)
        simple += n_right(by_overlap(segments, turns), turns)

    assert right >= 0.94 * n_words  # the others are timed between turns
    assert right >= simple


def test_words_are_given_well_by_turns_that_are_told_badly(dialogues: list[Dialogue]) -> None:
    right = n_words = simple = strays = simple_strays = 0
    for seed in range(4):
        for segments, turns in dialogues:
            told, alone = told_badly(turns, seed)
            words, plain = (
                words_of(assign_speakers(segments, told, alone)),
                by_overlap(segments, alone),
            )
            right, n_words = right + n_right(words, turns), n_words + len(words)
            simple += n_right(plain, turns)
            strays, simple_strays = strays + n_strays(words), simple_strays + n_strays(plain)

    assert right >= 0.92 * n_words
    assert right > simple + 0.01 * n_words
    assert strays < simple_strays / 4


def test_segments_are_cut_where_the_speaker_changes(dialogues: list[Dialogue]) -> None:
    for segments, turns in dialogues:
        for exclusive in (one_at_a_time(turns), told_badly(turns, 1)[1]):
            parts = assign_speakers(segments, turns, exclusive)

            assert "".join(part.text for part in parts) == "".join(s.text for s in segments)
            assert all(part.end > part.start for part in parts)
            for part in parts:
                assert {word.speaker for word in part.words or ()} <= {part.speaker}
