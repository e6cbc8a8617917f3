"""What a reader of a live session saw is measured as it was."""

from bench.evaluation.speech import Utterance
from bench.live.measure import Seen, measure

SAID = [Utterance("hello", 0.0, 0.5), Utterance("dear", 0.5, 1.0), Utterance("world", 1.0, 1.5)]


def test_delays_count_from_the_end_of_each_word() -> None:
    seen = [Seen(1.0, "", "hello"), Seen(2.0, "hello dear", "hello dear world"),
            Seen(3.0, "hello dear world", "hello dear world")]  # fmt: skip
    found = measure(SAID, seen, 2.5)
    assert found.commit_s == [1.5, 1.0, 1.5]
    assert sorted(found.first_s) == [0.5, 0.5, 1.0]
    assert (found.last_s, found.counts.n_errors, found.n_changed) == ([0.5], 0, 0)


def test_a_word_that_was_shown_and_replaced_is_counted_with_those_after_it() -> None:
    seen = [Seen(1.0, "", "yellow deer"), Seen(2.0, "hello dear world", "hello dear world")]
    assert measure(SAID, seen, 2.0).n_changed == 2


def test_committed_text_that_changes_is_noticed() -> None:
    seen = [Seen(1.0, "yellow", "yellow"), Seen(2.0, "hello dear world", "hello dear world")]
    assert measure(SAID, seen, 2.0).n_committed_changed > 0
