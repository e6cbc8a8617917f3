"""From tokens and times to segments and words."""

from __future__ import annotations

import pytest

from shared.transcript import Segment
from worker.engines.whisper_text import (
    TimedWord,
    TokenSpan,
    give_words,
    merge_punctuation,
    split_by_timestamps,
)

EOT = 1000


def timed(*texts: str) -> list[TimedWord]:
    return [TimedWord(text, 1, float(i), i + 0.8, 0.5) for i, text in enumerate(texts)]


def segment(text: str, n_tokens: int) -> Segment:
    return Segment(
        id=0,
        seek=0,
        start=0,
        end=9,
        text=text,
        tokens=(EOT + 1, *range(n_tokens), EOT + 2),
        temperature=0,
        avg_logprob=-0.1,
        compression_ratio=1,
        no_speech_prob=0,
    )


@pytest.mark.parametrize(
    ("parts", "merged"),
    [
        ((" Hello", ",", " you", "."), [" Hello,", " you."]),
        ((" (", '"', "Hi", '"', ")"), [' ("Hi")']),
        ((" said", ' "', "go", '"', "."), [" said", ' "go".']),
        (("大家", "好", "。"), ["大家", "好。"]),
        (("“", "好", "”", "。"), ["“好”。"]),
        ((" well", " ("), [" well", " ("]),
    ],
)
def test_punctuation_joins_the_word_it_belongs_to(
    parts: tuple[str, ...], merged: list[str]
) -> None:
    words = merge_punctuation(timed(*parts))

    assert [word.word for word in words] == merged
    assert sum(word.n_tokens for word in words) == len(parts)


def test_a_word_keeps_its_own_times_when_a_mark_joins_it() -> None:
    [word] = merge_punctuation(timed("好", "。"))

    assert (word.start, word.end) == (0.0, 0.8)


def test_words_are_handed_out_by_tokens_and_spell_their_segments() -> None:
    segments = [segment(" One two.", 3), segment('" Three.', 3)]

    first, second = give_words(
        segments, timed(" One", " two", ".", '"', " Three", "."), EOT, duration_s=9
    )

    assert [w.word for w in first.words or ()] == [" One", " two."]
    assert "".join(w.word for w in second.words or ()) == '" Three.'
    assert (first.start, first.end) == (0.0, 1.8)
    assert second.start >= first.end


def test_no_word_ends_after_the_chunk() -> None:
    [given] = give_words([segment(" a b c", 3)], timed(" a", " b", " c"), EOT, duration_s=1.5)

    times = [(w.start, w.end) for w in given.words or ()]
    assert times == [(0.0, 0.8), (1.0, 1.5), (1.5, 1.5)]


def test_text_after_the_last_timestamp_is_kept() -> None:
    tokens = [EOT + 0, 1, EOT + 50, EOT + 60, 2, 3]

    assert split_by_timestamps(tokens, EOT, duration_s=3.0) == [
        TokenSpan(0.0, 1.0, (EOT, 1, EOT + 50)),
        TokenSpan(1.2, 3.0, (EOT + 60, 2, 3)),
    ]
