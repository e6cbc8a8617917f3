"""What JSON says beside the text: speakers, characters, and words that programs can rely on."""

from __future__ import annotations

import json

import pytest
from transcripts import change_segments, word_by_word

from shared.formats import render, tidy
from shared.transcript import Character, SpeakerTurn, Word

TURN = SpeakerTurn(speaker="A", start=0.1234567, end=99.0)


def verbose(transcript):
    return json.loads(render(transcript, "verbose_json"))


@pytest.mark.parametrize(
    ("turns", "expected"), [((TURN,), ["A", None]), ((), ["A", None]), (None, ["A", "missing"])]
)
def test_every_segment_says_who_speaks_once_that_was_asked(make_transcript, turns, expected):
    transcript = make_transcript((0.0, 1.0, " a"), (1.0, 2.0, " b"), turns=turns)
    value = verbose(change_segments(transcript, speaker=["A", None]))

    assert [segment.get("speaker", "missing") for segment in value["segments"]] == expected


def test_turns_embeddings_and_characters_are_there_when_there_are_any(make_transcript):
    transcript = make_transcript((0.0, 1.0, " a"))
    char = Character(char="a", start=0.25, end=2.0, score=0.5)
    embeddings = {"A": (0.5, -1.0)}
    some = transcript.model_copy(update={"turns": (TURN,), "speaker_embeddings": embeddings})

    value = verbose(change_segments(some, chars=(char,)))
    none = verbose(
        change_segments(
            transcript.model_copy(update={"turns": (), "speaker_embeddings": {}}), chars=()
        )
    )

    assert value["turns"] == [{"speaker": "A", "start": 0.123, "end": 1.0}]
    assert value["speaker_embeddings"] == {"A": [0.5, -1.0]}
    assert value["segments"][0]["chars"] == [{"char": "a", "start": 0.25, "end": 1.0, "score": 0.5}]
    assert {"turns", "speaker_embeddings"} & none.keys() == set()
    assert "chars" not in none["segments"][0]


@pytest.mark.parametrize("name", ["verbose_json", "whisper"])
def test_words_lie_in_order_within_their_segment(make_transcript, name):
    times = [(0.5, 1.5), (1.25, 1.0), (float("nan"), 2.0), (1.75, float("inf"))]
    words = tuple(Word(word=" a", start=s, end=e, probability=1.0) for s, e in times)
    transcript = change_segments(make_transcript((1.0, 2.0, " a a a a")), words=words)

    (segment,) = json.loads(render(transcript, name))["segments"]
    assert [(word["start"], word["end"]) for word in segment["words"]] == [
        (1.0, 1.25),
        (1.25, 1.251),
        (1.251, 1.75),
        (1.75, 2.0),
    ]


@pytest.mark.parametrize("name", ["verbose_json", "whisper"])
def test_words_of_a_language_without_spaces_have_none_around_them(make_transcript, name):
    transcript = word_by_word(make_transcript((0.0, 4.0, " 我 用 Python 3 写。"), language="zh"))
    japanese = transcript.model_copy(update={"language": "ja"})
    english = transcript.model_copy(update={"task": "translate"})

    def told(transcript):
        (segment,) = json.loads(render(transcript, name))["segments"]
        return [word["word"] for word in segment["words"]]

    assert told(transcript) == told(japanese) == ["我", "用", "Python", " 3", "写", "。"]
    assert told(english) == [" 我", " 用", " Python", " 3", " 写", "。"]


def test_a_segment_of_another_language_keeps_its_own_spaces(make_transcript):
    transcript = word_by_word(make_transcript((0.0, 2.0, " so it"), language="zh"))
    english = tidy(change_segments(transcript, language="en"))

    assert [word.word for word in english.segments[0].words] == [" so", " it"]
    assert verbose(english)["segments"][0]["language"] == "en"


def test_what_is_tidy_stays_as_it_is(make_transcript):
    transcript = word_by_word(make_transcript((0.0, 1.0, " so"), (1.0, 2.5, " it is")))

    assert tidy(transcript) == transcript
