"""From tokens and times to segments and words."""

from __future__ import annotations

import pytest

from shared.transcript import Segment
from worker.engines.timed_words import TimedWord, give_words, merge_punctuation
from worker.engines.whisper_text import SplitText, TokenSpan, split_by_timestamps

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


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        ((" Dis", "-moi", ",", " oui", "."), [" Dis-moi,", " oui."]),
        ((" l", "'", "avion"), [" l'avion"]),
        ((" l", "'avion", "."), [" l'avion."]),
        ((" aujourd", "’", "hui", " j", "’ai"), [" aujourd’hui", " j’ai"]),
        ((" dell", "'acqua", " c", "'è"), [" dell'acqua", " c'è"]),
        ((" don", "'t", " o", "'clock"), [" don't", " o'clock"]),
        ((" est", "-ce", "-que", " U", ".S", "."), [" est-ce-que", " U.S."]),
        ((" 3", ".5", " 10", ":30", " 1", ",000"), [" 3.5", " 10:30", " 1,000"]),
        ((" said", " 'go'", " so", "-", " no"), [" said", " 'go'", " so-", " no"]),
        ((" well", "...", "what"), [" well...", "what"]),
        (("大家", "好", "3", ".5", "元"), ["大家", "好", "3.5", "元"]),
        (("สวัส", "ดี"), ["สวัส", "ดี"]),
    ],
)
def test_a_mark_within_a_word_parts_no_word(parts: tuple[str, ...], joined: list[str]) -> None:
    [given] = give_words([segment("".join(parts), len(parts))], timed(*parts), EOT, duration_s=20)

    assert [word.word for word in given.words or ()] == joined


def test_a_word_of_parts_lasts_from_the_first_to_the_last() -> None:
    parts = [TimedWord(" l", 1, 1.0, 1.2, 0.2), TimedWord("'avion", 3, 1.2, 1.9, 0.6)]

    [word] = give_words([segment(" l'avion", 4)], parts, EOT, duration_s=9)[0].words or ()

    assert (word.word, word.start, word.end, word.probability) == (" l'avion", 1.0, 1.9, 0.5)


def test_words_are_handed_out_by_tokens_and_spell_their_segments() -> None:
    segments = [segment(" One two.", 3), segment('" Three.', 3)]

    first, second = give_words(
        segments, timed(" One", " two", ".", '"', " Three", "."), EOT, duration_s=9
    )

    assert [w.word for w in first.words or ()] == [" One", " two."]
    assert "".join(w.word for w in second.words or ()) == '" Three.'
    assert [(s.start, s.end) for s in (first, second)] == [(s.start, s.end) for s in segments]


def test_no_word_ends_after_the_chunk() -> None:
    [given] = give_words([segment(" a b c", 3)], timed(" a", " b", " c"), EOT, duration_s=1.5)

    times = [(w.start, w.end) for w in given.words or ()]
    assert times == [(0.0, 0.8), (1.0, 1.5), (1.5, 1.5)]


def split(*tokens: int, duration_s: float = 3.0) -> SplitText:
    return split_by_timestamps(tokens, EOT, duration_s)


def test_text_after_the_last_timestamp_is_kept_and_all_is_heard() -> None:
    assert split(EOT, 1, EOT + 50, EOT + 60, 2, 3) == SplitText(
        (TokenSpan(0.0, 1.0, (EOT, 1, EOT + 50)), TokenSpan(1.2, 3.0, (EOT + 60, 2, 3))), 3.0
    )


def test_two_timestamps_at_the_end_say_that_more_follows() -> None:
    found = split(EOT, 1, EOT + 50, EOT + 50, 2, EOT + 100, EOT + 110)

    assert [span.tokens for span in found.spans] == [(EOT, 1, EOT + 50), (EOT + 50, 2, EOT + 100)]
    assert found.heard_s == 2.2


def test_one_timestamp_at_the_end_says_that_all_is_heard() -> None:
    assert split(EOT, 1, EOT + 50).heard_s == 3.0


def test_a_text_that_fills_its_room_is_heard_to_its_last_whole_segment() -> None:
    full = [EOT, *range(1, 150), EOT + 50, EOT + 50, *range(150, 220)]

    found = split(*full)

    assert [span.end for span in found.spans] == [1.0]
    assert found.heard_s == 1.0
    assert split(EOT, *range(1, 220)).heard_s == 3.0, "a segment without an end is kept"


@pytest.mark.parametrize("tokens", [(), (EOT,), (EOT + 5, EOT + 5)])
def test_without_text_all_is_heard_and_nothing_said(tokens: tuple[int, ...]) -> None:
    assert split(*tokens) == SplitText((), 3.0)
