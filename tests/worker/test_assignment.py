"""Whose words they are: by time alone, without any model."""

from __future__ import annotations

import random
from typing import Any

import pytest

from shared.speaker_names import rename_speakers
from shared.transcript import Character, Segment, SpeakerTurn, Transcript, Word
from worker.diarization.assignment import assign_speakers


def turn(speaker: str, start: float, end: float) -> SpeakerTurn:
    return SpeakerTurn(speaker=speaker, start=start, end=end)


def words(*spans: tuple[str, float, float]) -> tuple[Word, ...]:
    return tuple(Word(word=w, start=s, end=e, probability=0.9) for w, s, e in spans)


def segment(start: float, end: float, text: str, **fields: Any) -> Segment:
    return Segment(
        **{
            "id": 0, "seek": 7, "start": start, "end": end, "text": text, "tokens": (5, 6),
            "temperature": 0.0, "avg_logprob": -0.2, "compression_ratio": 1.1,
            "no_speech_prob": 0.01, **fields,
        }
    )  # fmt: skip


HELLO = words((" Good", 0.0, 0.4), (" morning.", 0.4, 0.9), (" Hello", 1.2, 1.5), (" Ann.", 1.5, 2))


def test_a_segment_is_cut_where_the_speaker_changes():
    said = segment(0.0, 2.0, " Good morning. Hello Ann.", words=HELLO)

    first, second = assign_speakers([said], [turn("A", 0, 1.0), turn("B", 1.1, 2)])

    assert (first.text, first.speaker, first.start, first.end) == (" Good morning.", "A", 0.0, 0.9)
    assert (second.text, second.speaker, second.start, second.end) == (" Hello Ann.", "B", 1.2, 2.0)
    assert [w.speaker for w in (*(first.words or ()), *(second.words or ()))] == [
        "A",
        "A",
        "B",
        "B",
    ]
    assert (first.id, second.id) == (0, 1)
    assert (second.seek, second.avg_logprob, second.tokens) == (7, -0.2, ())


def test_segments_after_a_cut_are_numbered_on():
    said = segment(0.0, 2.0, " Good morning. Hello Ann.", words=HELLO)
    then = segment(2.0, 3.0, " Bye.", id=1)

    parts = assign_speakers([said, then], [turn("A", 0, 1.0), turn("B", 1.1, 3)])

    assert [part.id for part in parts] == [0, 1, 2]


def test_a_segment_of_one_speaker_is_left_whole():
    said = segment(0.0, 2.0, " Good morning. Hello Ann.", words=HELLO)

    (whole,) = assign_speakers([said], [turn("A", 0, 2)])

    assert (whole.text, whole.tokens, whole.speaker) == (said.text, (5, 6), "A")


def test_a_word_belongs_to_the_speaker_who_talks_most_while_it_is_said():
    said = segment(0, 1, " yes", words=words((" yes", 0.0, 1.0)))

    (whole,) = assign_speakers([said], [turn("A", 0, 0.4), turn("B", 0.4, 1.0)])

    assert whole.speaker == "B"


def test_two_who_talk_equally_long_leave_the_word_with_who_had_the_one_before():
    said = segment(0, 2, " I know", words=words((" I", 0, 1), (" know", 1, 2)))

    for other, who in (("A", "B"), ("B", "A")):
        (whole,) = assign_speakers([said], [turn(who, 0, 2), turn(other, 1, 2)])
        assert whole.speaker == who


@pytest.mark.parametrize("gap", [0.1, 0.6, 30])
def test_a_word_in_nobodys_turn_belongs_to_the_nearest(gap):
    said = segment(35, 36, " well", words=words((" well", 35.0, 36.0)))
    turns = [turn("A", 1, 35.0 - gap), turn("A", 0, 0.5), turn("B", 36.2 + gap, 90)]

    (whole,) = assign_speakers([said], turns)

    assert whole.speaker == "A"
    assert whole.words is not None and whole.words[0].speaker == "A"


def test_a_segment_in_nobodys_turn_belongs_to_the_nearest():
    parts = assign_speakers([segment(5, 6, " hm")], [turn("A", 0, 1), turn("B", 8, 9)])

    assert [part.speaker for part in parts] == ["B"]


def test_a_word_without_length_at_the_edge_of_a_turn_is_no_segment_of_its_own():
    # As a public report has it: " You're" 37.394-37.394, by another speaker, within a sentence.
    said = segment(
        36.2, 39.0, " I think. You're right about that.",
        words=words(
            (" I", 36.2, 36.5), (" think.", 36.5, 37.394), (" You're", 37.394, 37.394),
            (" right", 37.394, 37.8), (" about", 37.8, 38.2), (" that.", 38.2, 39.0),
        ),
    )  # fmt: skip

    parts = assign_speakers([said], [turn("A", 36, 37.4), turn("B", 37.4, 39)])

    assert [(part.text, part.speaker) for part in parts] == [
        (" I think.", "A"),
        (" You're right about that.", "B"),
    ]
    assert all(part.end > part.start for part in parts)


SENTENCE = words(
    (" We", 0.0, 0.3), (" sold", 0.3, 0.7), (" the", 0.7, 0.85), (" house", 0.85, 1.3),
    (" in", 1.3, 1.45), (" May.", 1.45, 2.0),
)  # fmt: skip


def test_a_scrap_of_a_turn_takes_no_word_out_of_a_sentence():
    said = segment(0, 2, " We sold the house in May.", words=SENTENCE)
    turns = [turn("A", 0, 2), turn("B", 0.68, 0.88)]
    alone = [turn("A", 0, 0.68), turn("B", 0.68, 0.88), turn("A", 0.88, 2)]

    (whole,) = assign_speakers([said], turns, alone)

    assert whole.speaker == "A"
    assert {word.speaker for word in whole.words or ()} == {"A"}


@pytest.mark.parametrize("late", [-0.09, 0.09])
def test_a_turn_that_begins_a_little_off_begins_with_the_sentence(late):
    text = " Is it sold? It is. We think."
    said = segment(
        0, 3, text,
        words=words(
            (" Is", 0.0, 0.3), (" it", 0.3, 0.5), (" sold?", 0.5, 0.9), (" It", 0.9, 1.05),
            (" is.", 1.05, 1.2), (" We", 1.4, 1.7), (" think.", 1.7, 3),
        ),
    )  # fmt: skip

    parts = assign_speakers([said], [turn("A", 0, 0.9 + late), turn("B", 0.9 + late, 3)])

    assert [part.text for part in parts] == [" Is it sold?", " It is. We think."]


@pytest.mark.parametrize("word", [" Yes.", " yeah", " Yes,"])
def test_a_real_quick_change_of_speakers_stays(word):
    said = segment(
        0, 3, f" You sold it{word} and then",
        words=words(
            (" You", 0.0, 0.4), (" sold", 0.4, 0.8), (" it", 0.8, 1.1), (word, 1.15, 1.45),
            (" and", 1.5, 1.8), (" then", 1.8, 3),
        ),
    )  # fmt: skip
    turns = [turn("A", 0, 1.12), turn("B", 1.12, 1.48), turn("A", 1.48, 3)]

    parts = assign_speakers([said], turns)

    assert [(part.text, part.speaker) for part in parts] == [
        (" You sold it", "A"), (word, "B"), (" and then", "A"),
    ]  # fmt: skip


def test_of_two_who_talk_at_once_the_one_who_is_heard_better_has_the_words():
    said = segment(0, 2, " We sold the house in May.", words=SENTENCE)

    (whole,) = assign_speakers(
        [said], [turn("A", 0, 2), turn("B", 0, 2)], [turn("B", 0, 2), turn("A", 2, 2.1)]
    )

    assert whole.speaker == "B"


def test_the_pause_before_a_first_word_is_nobodys_claim_on_it():
    said = segment(0, 6, " Sold. I", words=words((" Sold.", 0.0, 0.6), (" I", 0.6, 5.0)))

    parts = assign_speakers([said], [turn("A", 0, 2.9), turn("B", 4.7, 6)])

    assert [part.speaker for part in parts] == ["A", "B"]


@pytest.mark.parametrize("seed", range(20))
def test_every_part_has_a_length_and_no_word_is_lost(seed):
    draw = random.Random(seed)
    now, segments = 0.0, []
    for _ in range(12):
        begun, spans = now, []
        for _ in range(draw.randint(1, 9)):
            start = now + draw.choice([0, 0, 0.1, 0.5])
            now = start + draw.choice([0, 0.02, 0.2, 0.4, 1.5])
            spans.append((draw.choice([" a", " b.", " c,"]), start, now))
        now += 0.01
        segments.append(segment(begun, now, "".join(s[0] for s in spans), words=words(*spans)))
    edges = sorted(draw.uniform(0, now) for _ in range(60))
    turns = [turn(draw.choice("ABC"), start, start + draw.uniform(0.02, 2)) for start in edges]

    parts = assign_speakers(segments, turns)

    assert all(part.end > part.start for part in parts)
    assert all(len({w.speaker for w in part.words or ()} | {part.speaker}) == 1 for part in parts)
    times = [(w.word, w.start, w.end) for part in parts for w in part.words or ()]
    assert times == [(w.word, w.start, w.end) for s in segments for w in s.words or ()]
    assert "".join(part.text for part in parts) == "".join(s.text for s in segments)


def test_a_word_without_length_lies_in_the_turn_around_it():
    said = segment(1, 1, " I", words=words((" I", 1.0, 1.0)))

    (whole,) = assign_speakers([said], [turn("A", 0, 0.9), turn("B", 0.9, 2)])

    assert whole.speaker == "B"


def test_a_long_turn_is_seen_past_many_short_ones():
    turns = [turn("A", 0, 100), *(turn("B", i, i + 0.1) for i in range(1, 90))]

    (whole,) = assign_speakers([segment(95, 96, " so")], turns)

    assert whole.speaker == "A"


def test_a_segment_without_words_belongs_to_the_speaker_who_talks_longest():
    parts = assign_speakers(
        [segment(0, 2, " hi"), segment(9, 10, " hm", words=())],
        [turn("A", 0, 0.5), turn("B", 0.5, 2)],
    )

    assert [part.speaker for part in parts] == ["B", "B"]


def test_chinese_words_are_joined_without_spaces():
    said = segment(0, 2, "你好再见", words=words(("你好", 0, 1), ("再见", 1, 2)))

    parts = assign_speakers([said], [turn("A", 0, 1), turn("B", 1, 2)])

    assert [part.text for part in parts] == ["你好", "再见"]


def test_text_without_a_leading_space_gets_none_when_it_is_cut():
    said = segment(0.0, 2.0, "Good morning. Hello Ann.", words=HELLO)

    parts = assign_speakers([said], [turn("A", 0, 1.0), turn("B", 1.1, 2)])

    assert [part.text for part in parts] == ["Good morning.", "Hello Ann."]


def test_timed_characters_go_with_their_words():
    chars = tuple(Character(char=c, start=t, end=t, score=1) for c, t in (("a", 0.2), ("b", 1.2)))
    said = segment(0, 2, " a b", words=words((" a", 0.1, 0.9), (" b", 1.1, 2)), chars=chars)

    parts = assign_speakers([said], [turn("A", 0, 1), turn("B", 1, 2)])

    assert [[c.char for c in part.chars or ()] for part in parts] == [["a"], ["b"]]


def test_nothing_is_assigned_where_there_are_no_turns():
    said = segment(0.0, 2.0, " Good morning. Hello Ann.", words=HELLO)

    (whole,) = assign_speakers([said], [])

    assert whole.speaker is None
    assert "speaker" in whole.model_dump()
    assert [w.speaker for w in whole.words or ()] == [None] * 4


def transcript() -> Transcript:
    turns = (turn("SPEAKER_00", 0, 1.0), turn("SPEAKER_01", 1.1, 2))
    segments = assign_speakers([segment(0.0, 2.0, " Good morning. Hello Ann.", words=HELLO)], turns)
    return Transcript(
        text=" Good morning. Hello Ann.", task="transcribe", language="en",
        language_probability=1.0, duration=2.0, duration_after_vad=2.0, segments=tuple(segments),
        model="demo", model_revision="", engine="faster_whisper", turns=turns,
        speaker_embeddings={"SPEAKER_00": (1.0, 0.0), "SPEAKER_01": (0.0, 1.0)},
    )  # fmt: skip


def test_speakers_are_renamed_wherever_they_occur():
    renamed = rename_speakers(transcript(), {"SPEAKER_00": "Ann", "SPEAKER_07": "Bob"})

    assert [s.speaker for s in renamed.segments] == ["Ann", "SPEAKER_01"]
    assert [w.speaker for s in renamed.segments for w in s.words or ()] == [
        "Ann", "Ann", "SPEAKER_01", "SPEAKER_01",
    ]  # fmt: skip
    assert [t.speaker for t in renamed.turns or ()] == ["Ann", "SPEAKER_01"]
    assert renamed.speaker_embeddings == {"Ann": (1.0, 0.0), "SPEAKER_01": (0.0, 1.0)}


def test_two_speakers_may_change_names():
    renamed = rename_speakers(
        transcript(), {"SPEAKER_00": "SPEAKER_01", "SPEAKER_01": "SPEAKER_00"}
    )

    assert [s.speaker for s in renamed.segments] == ["SPEAKER_01", "SPEAKER_00"]
    assert renamed.speaker_embeddings == {"SPEAKER_01": (1.0, 0.0), "SPEAKER_00": (0.0, 1.0)}


def test_a_transcript_without_speakers_is_renamed_to_itself():
    plain = transcript().model_copy(update={"turns": None, "speaker_embeddings": None})

    assert rename_speakers(plain, {"SPEAKER_09": "Ann"}) == plain
