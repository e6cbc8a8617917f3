"""Which chunk is decoded when, at which temperature, and what it is told of the ones before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from shared.request import TranscriptionRequest
from shared.transcript import Segment
from worker.audio import Span
from worker.decoding import decode_chunks, decode_options, temperatures
from worker.engines.base import DecodeOptions, Decoding
from worker.streams import Turn

NO_OPTIONS = decode_options(TranscriptionRequest(), "en")
SPANS = [Span(n * 16_000, (n + 1) * 16_000) for n in range(4)]


def segment(text: str, temperature: float = 0.0) -> Segment:
    return Segment(
        id=0, seek=0, start=0, end=1, text=text, tokens=(), temperature=temperature,
        avg_logprob=-0.1, compression_ratio=1, no_speech_prob=0,
    )  # fmt: skip


class Stream:
    """Answers the last chunk added first, by a function of its index and options."""

    def __init__(self, answer: Callable[[int, DecodeOptions], Decoding]) -> None:
        self._answer = answer
        self._waiting: deque[int] = deque()
        self.asked: list[tuple[int, DecodeOptions]] = []
        self.most_waiting = 0
        self.turns: list[tuple[int, Turn]] = []

    def add(self, index: int, span: Span, options: DecodeOptions, turn: Turn = "last") -> None:
        assert span == SPANS[index]
        self.asked.append((index, options))
        self.turns.append((index, turn))
        self._waiting.append(len(self.asked) - 1)
        self.most_waiting = max(self.most_waiting, len(self._waiting))

    def next(self) -> tuple[int, Decoding]:
        index, options = self.asked[self._waiting.pop()]
        return index, self._answer(index, options)

    def close(self) -> None:
        self._waiting.clear()


def say(index: int, options: DecodeOptions) -> Decoding:
    return Decoding((segment(f" said {index}.", options.temperature),), "en")


def doubtful_below(temperature: float, index: int = 1) -> Callable[[int, DecodeOptions], Decoding]:
    def answer(i: int, options: DecodeOptions) -> Decoding:
        said = say(i, options).segments
        return Decoding(said, "en", i == index and options.temperature < temperature)

    return answer


def run(stream: Stream, done: dict[int, Decoding] | None = None, **fields: Any) -> dict[int, str]:
    request = TranscriptionRequest(**fields)
    found = decode_chunks(SPANS, request, "en", stream, done or {})
    return {index: decoding.segments[0].text for index, decoding in found}


def test_all_chunks_wait_at_once_and_come_in_any_order() -> None:
    stream = Stream(say)
    found = run(stream)

    assert list(found) == [3, 2, 1, 0]
    assert stream.most_waiting == 4
    assert {options.temperature for _, options in stream.asked} == {0.0}


def test_a_doubtful_chunk_is_tried_again_at_the_next_temperatures_alone() -> None:
    stream = Stream(doubtful_below(0.4))
    found = run(stream)

    assert sorted(found) == [0, 1, 2, 3]
    tried = [(i, options.temperature) for i, options in stream.asked if i == 1]
    assert tried == [(1, 0.0), (1, 0.2), (1, 0.4)]
    assert len(stream.asked) == 6


def test_the_last_try_is_taken_as_it_is() -> None:
    stream = Stream(doubtful_below(9))
    found = run(stream, temperature_increment=0.5)

    assert len(found) == 4
    assert [o.temperature for i, o in stream.asked if i == 1] == [0.0, 0.5, 1.0]


def test_without_an_increment_there_is_one_try() -> None:
    stream = Stream(doubtful_below(9))
    run(stream, temperature_increment=0)

    assert len(stream.asked) == 4


@pytest.mark.parametrize(
    ("first", "step", "expected"),
    [
        (0, 0.2, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.7, 0.2, [0.7, 0.9]),
        (1, 0.2, [1]),
        (0.3, 0, [0.3]),
    ],
)
def test_temperatures_rise_by_the_increment_up_to_one(
    first: float, step: float, expected: list[float]
) -> None:
    request = TranscriptionRequest(temperature=first, temperature_increment=step)

    assert temperatures(request) == expected


def test_each_chunk_is_told_what_was_said_before_when_it_is_asked_for() -> None:
    stream = Stream(say)
    found = run(stream, condition_on_previous_text=True, prompt="Names: Ann.")

    assert list(found) == [0, 1, 2, 3]
    assert stream.most_waiting == 1
    assert [options.prompt for _, options in stream.asked] == [
        "Names: Ann.",
        "Names: Ann. said 0.",
        "Names: Ann. said 0. said 1.",
        "Names: Ann. said 0. said 1. said 2.",
    ]


def test_a_translation_is_told_in_english_whatever_is_spoken() -> None:
    stream = Stream(say)
    request = TranscriptionRequest(condition_on_previous_text=True, task="translate")
    list(decode_chunks(SPANS, request, "zh", stream, {}))

    assert [options.prompt for _, options in stream.asked][2] == "said 0. said 1."


def test_a_text_drawn_at_a_high_temperature_is_told_to_nobody() -> None:
    stream = Stream(doubtful_below(0.8))
    run(stream, condition_on_previous_text=True)

    prompts = {i: o.prompt for i, o in stream.asked}
    assert prompts == {0: None, 1: "said 0.", 2: None, 3: "said 2."}


def test_chunks_that_are_done_are_not_decoded_but_told_to_the_next() -> None:
    done = {0: Decoding((segment(" kept 0."),), "en"), 1: Decoding((segment(" kept 1."),), "en")}
    parallel, sequential = Stream(say), Stream(say)
    found = run(parallel, done)
    run(sequential, done, condition_on_previous_text=True)

    assert sorted(found) == [2, 3]
    assert [(i, o.prompt) for i, o in sequential.asked] == [
        (2, "kept 0. kept 1."),
        (3, "kept 0. kept 1. said 2."),
    ]


def test_every_option_of_a_request_reaches_the_chunk() -> None:
    chosen: dict[str, Any] = {
        "task": "translate", "prompt": "p", "hotwords": "h", "temperature": 0.2, "beam_size": 2,
        "best_of": 3, "patience": 1.5, "length_penalty": 0.5, "repetition_penalty": 1.2,
        "no_repeat_ngram_size": 3, "suppress_tokens": (1, 2), "suppress_numerals": True,
        "compression_ratio_threshold": 1.5, "logprob_threshold": -2.0, "no_speech_threshold": 0.3,
        "hallucination_silence_threshold": 2.0, "word_timestamps": True,
    }  # fmt: skip
    options = decode_options(TranscriptionRequest(**chosen), "de")

    assert {"language": "de", **chosen} == vars(options)


@pytest.mark.parametrize("name", ["word_timestamps", "align", "return_char_alignments", "diarize"])
def test_words_are_found_for_whatever_needs_them(name: str) -> None:
    assert not decode_options(TranscriptionRequest(), "en").word_timestamps
    assert decode_options(TranscriptionRequest(**{name: True}), "en").word_timestamps


def test_chunks_that_are_read_as_they_are_done_have_their_turn_in_the_order_of_time() -> None:
    stream = Stream(doubtful_below(0.3))
    request = TranscriptionRequest(temperature_increment=0.2)

    list(decode_chunks(SPANS, request, "en", stream, {0: say(0, NO_OPTIONS)}, are_read=True))

    # Until the one that is told first is done, tried again and again, no other is begun.
    assert stream.turns == [(1, "first")] * 3 + [(2, "last"), (3, "last")]


def test_a_chunk_tried_again_goes_before_the_rest_where_somebody_reads() -> None:
    for are_read, turn in ((True, "next"), (False, "last")):
        stream = Stream(doubtful_below(0.1, index=2))
        request = TranscriptionRequest(temperature_increment=0.2)

        list(decode_chunks(SPANS, request, "en", stream, {}, are_read=are_read))

        assert stream.turns[4:] == [(2, turn)]
