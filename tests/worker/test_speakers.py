"""Whose words they are: by time alone, without any model."""

from __future__ import annotations

from typing import Any

import pytest

from shared.speaker_names import rename_speakers
from shared.transcript import Character, Segment, SpeakerTurn, Transcript, Word
from worker.speakers import NEAR_S, assign_speakers


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


def test_a_word_belongs_to_whoever_talks_most_while_it_is_said():
    said = segment(0, 1, " yes", words=words((" yes", 0.0, 1.0)))

    (whole,) = assign_speakers([said], [turn("A", 0, 0.4), turn("B", 0.4, 1.0)])

    assert whole.speaker == "B"


def test_two_who_talk_equally_long_leave_the_word_with_who_had_the_one_before():
    said = segment(0, 2, " I know", words=words((" I", 0, 1), (" know", 1, 2)))

    for other, who in (("A", "B"), ("B", "A")):
        (whole,) = assign_speakers([said], [turn(who, 0, 2), turn(other, 1, 2)])
        assert whole.speaker == who


@pytest.mark.parametrize(
    ("gap", "speaker"), [(NEAR_S - 0.1, "A"), (NEAR_S + 0.1, None)], ids=["near", "far"]
)
def test_a_word_in_nobodys_turn_belongs_to_the_nearest_if_that_is_near(gap, speaker):
    said = segment(5, 6, " well", words=words((" well", 5.0, 6.0)))

    (whole,) = assign_speakers([said], [turn("A", 1, 5.0 - gap), turn("A", 0, 0.5)])

    assert whole.speaker == speaker
    assert whole.words is not None and whole.words[0].speaker == speaker


def test_a_word_far_from_every_turn_stays_with_its_segment():
    said = segment(
        0, 9, " a b c", words=words((" a", 0.0, 0.5), (" b", 4.0, 4.5), (" c", 8.5, 9.0))
    )

    (whole,) = assign_speakers([said], [turn("A", 8, 9)])

    assert [w.speaker for w in whole.words or ()] == ["A", "A", "A"]


def test_a_word_without_length_lies_in_the_turn_around_it():
    said = segment(1, 1, " I", words=words((" I", 1.0, 1.0)))

    (whole,) = assign_speakers([said], [turn("A", 0, 0.9), turn("B", 0.9, 2)])

    assert whole.speaker == "B"


def test_a_long_turn_is_seen_past_many_short_ones():
    turns = [turn("A", 0, 100), *(turn("B", i, i + 0.1) for i in range(1, 90))]

    (whole,) = assign_speakers([segment(95, 96, " so")], turns)

    assert whole.speaker == "A"


def test_a_segment_without_words_belongs_to_whoever_talks_longest():
    parts = assign_speakers(
        [segment(0, 2, " hi"), segment(9, 10, " hm", words=())],
        [turn("A", 0, 0.5), turn("B", 0.5, 2)],
    )

    assert [part.speaker for part in parts] == ["B", None]


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
