"""What a chunk of a lane is told, when it is decoded again, and in which language."""

from __future__ import annotations

from dataclasses import replace

import pytest
from decodings import seconds
from lane_walks import OPTIONS, say, spoken, walk

from worker.decoding.lanes import PendingChunk
from worker.decoding.options import LaneOptions
from worker.engines.base import DecodeOptions, Decoding
from worker.speech.detection import Speech

# What a chunk is told


def test_a_chunk_is_told_the_tokens_of_the_ones_before_timestamps_included() -> None:
    asked, done = walk(lambda call: say(call))

    told = [call.options.context for call in asked]
    assert told[0] == ()
    first, second = done[0].segments[0].tokens, done[1].segments[0].tokens
    # In steps of 32: of 62 tokens the last 32, and of these and the next 62 the last 64.
    assert told[1] == first[-32:]
    assert told[2] == (first[-32:] + second)[-64:]
    assert told[3] == (told[2] + done[2].segments[0].tokens)[-96:]


def test_no_more_is_told_than_leaves_room_for_a_prompt() -> None:
    speech = Speech((seconds(0, 600),), (seconds(0, 600),), (seconds(0, 600),))

    asked, _ = walk(lambda call: say(call), speech)

    assert max(len(call.options.context) for call in asked) == 96


def test_without_context_nothing_is_told() -> None:
    asked, done = walk(lambda call: say(call), options=replace(OPTIONS, has_context=False))

    assert {call.options.context for call in asked} == {()}
    assert {chunk.context for chunk in done} == {()}


@pytest.mark.parametrize(
    "bad",
    [{"fails_thresholds": True}, {"avg_logprob": -0.9}],
)
def test_a_text_that_was_not_to_be_believed_is_told_to_nobody(bad: dict[str, object]) -> None:
    def answer(call: PendingChunk) -> Decoding:
        is_second = call.chunk.start == seconds(30, 30).start
        if is_second and call.options.context == () and "avg_logprob" in bad:
            return say(call)  # better without: it begins a context of its own
        return say(call, **(bad if is_second else {}))

    asked, done = walk(answer)

    third = next(call for call in asked if call.chunk.start == seconds(60, 60).start)
    own = done[1].segments[0].tokens[-32:]
    assert third.options.context == (() if "fails_thresholds" in bad else own)


# A second look


def test_a_doubtful_chunk_is_decoded_again_without_context() -> None:
    def answer(call: PendingChunk) -> Decoding:
        if call.options.context:
            return say(call, text="doubtful", avg_logprob=-0.6)
        return say(call, text="plain", avg_logprob=-0.7)

    asked, done = walk(answer, spoken((0, 60), lane_s=60))

    again = [call for call in asked if call.is_fallback]
    assert [(call.chunk, call.options.context) for call in again] == [(seconds(30, 60), ())]
    assert done[1].segments[0].text.startswith("plain")


def test_what_was_decoded_without_context_is_not_decoded_the_same_way_again() -> None:
    asked, _ = walk(lambda call: say(call, avg_logprob=-0.9), spoken((0, 30), lane_s=30))

    assert [call.is_fallback for call in asked] == [False]


def test_one_look_is_enough_where_one_is_asked_for() -> None:
    asked, _ = walk(
        lambda call: say(call, avg_logprob=-0.9, fails_thresholds=True),
        options=replace(OPTIONS, falls_back=False),
    )

    assert not any(call.is_fallback for call in asked)


def test_a_failing_text_is_tried_at_higher_temperatures_until_one_passes() -> None:
    def answer(call: PendingChunk) -> Decoding:
        return say(call, fails_thresholds=call.options.temperature < 0.4)

    asked, done = walk(
        answer, spoken((0, 30), lane_s=30), replace(OPTIONS, temperatures=(0.2, 0.4, 0.6))
    )

    assert [call.options.temperature for call in asked] == [0.0, 0.2, 0.4]
    assert len(done) == 1


# Languages


def test_the_language_of_the_first_chunk_is_that_of_the_others() -> None:
    options = LaneOptions(DecodeOptions(None))

    asked, done = walk(
        lambda call: say(call, language="de", language_probability=0.9), options=options
    )

    assert [call.options.language for call in asked] == [None, "de", "de", "de"]
    assert {chunk.language for chunk in done} == {"de"}
    assert {s.language for chunk in done for s in chunk.segments} == {"de"}


def test_another_language_is_noticed_where_the_text_is_in_doubt_and_ends_the_context() -> None:
    def answer(call: PendingChunk) -> Decoding:
        if call.chunk.start == 0:
            return say(call, language="fr", language_probability=0.99)
        if call.options.language == "fr":
            return say(call, language="fr", avg_logprob=-0.8)
        return say(call, language="en", language_probability=0.95)

    asked, done = walk(answer, options=LaneOptions(DecodeOptions(None)))

    assert [chunk.language for chunk in done] == ["fr", "en", "en", "en"]
    again = next(call for call in asked if call.is_fallback)
    assert (again.options.language, again.options.context) == (None, ())
    assert done[1].context == done[1].segments[0].tokens[-32:]


def test_an_unsure_language_does_not_take_over() -> None:
    def answer(call: PendingChunk) -> Decoding:
        if call.chunk.start == 0:
            return say(call, language="fr", language_probability=0.99)
        language = call.options.language or "cy"
        return say(call, language=language, language_probability=0.3, avg_logprob=-0.8)

    _, done = walk(answer, options=LaneOptions(DecodeOptions(None)))

    assert {chunk.language for chunk in done} == {"fr"}


def test_where_languages_are_mixed_each_chunk_is_asked_for_its_own() -> None:
    options = LaneOptions(DecodeOptions(None), detects_always=True)

    asked, _ = walk(lambda call: say(call, language="de"), options=options)

    assert {call.options.language for call in asked} == {None}
