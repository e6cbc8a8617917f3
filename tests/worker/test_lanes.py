"""A lane goes from chunk to chunk: where each begins and ends."""

from __future__ import annotations

from dataclasses import replace

import pytest
from decodings import decoding, seconds, segment
from lane_walks import OPTIONS, SURE, say, spoken, walk

from worker.audio.source import Span
from worker.decoding.lanes import Lane, PendingChunk, next_chunk
from worker.engines.base import Decoding
from worker.speech.detection import Speech

# Where chunks begin and end


def test_a_chunk_begins_where_the_text_of_the_last_one_ended() -> None:
    asked, done = walk(lambda call: say(call, 23.5))

    assert [call.chunk for call in asked[:3]] == [
        seconds(0, 30), seconds(23.5, 53.5), seconds(47, 77),
    ]  # fmt: skip
    assert done[-1].is_last and not any(chunk.is_last for chunk in done[:-1])
    assert asked[-1].chunk.end == seconds(0, 100).end


def test_text_after_a_pause_that_was_not_heard_has_the_times_of_the_recording() -> None:
    speech = spoken((0, 10), (14, 24), lane_s=24)
    speech = replace(speech, skipped=(seconds(10.25, 13.75),))
    words = " ".join(f"w{n}" for n in range(25))
    told = segment(words, 0.0, 10.0), segment(words, 10.6, 20.5)

    asked, done = walk(lambda call: decoding(*told, heard_s=20.5), speech)

    assert [call.chunk for call in asked] == [seconds(0, 24)]
    assert [(s.start, s.end) for s in done[0].segments] == [(0.0, 10.0), (14.0, 24.0)]


def test_silence_between_chunks_is_passed_over() -> None:
    speech = spoken((10, 12), (40, 42), (90, 95))

    asked, _ = walk(lambda call: say(call), speech)

    assert [call.chunk for call in asked] == [
        seconds(10, 12),
        seconds(40, 42),
        seconds(90, 100),
    ]


def test_a_chunk_ends_where_a_long_pause_begins_and_goes_on_through_short_ones() -> None:
    chunk = next_chunk(
        seconds(0, 60), [seconds(3, 6), seconds(10, 12), seconds(20, 25)], 0, OPTIONS
    )

    assert chunk == seconds(3, 12)


@pytest.mark.parametrize(("speech_at", "begin"), [(0.4, 0.0), (1.0, 0.0), (1.5, 1.5)])
def test_a_recording_is_heard_from_its_beginning_if_speech_begins_soon(
    speech_at: float, begin: float
) -> None:
    chunk = next_chunk(seconds(0, 8), [seconds(speech_at, 7.5)], 0, OPTIONS)

    assert chunk == seconds(begin, 8)


def test_a_chunk_stays_within_its_lane() -> None:
    lane = seconds(10, 22)
    spans = [seconds(0, 9), seconds(11.5, 15), seconds(20, 40)]

    assert next_chunk(lane, spans, lane.start, OPTIONS) == seconds(11.5, 22)
    assert next_chunk(lane, spans, lane.end, OPTIONS) is None
    assert next_chunk(lane, [seconds(0, 9), seconds(30, 40)], lane.start, OPTIONS) is None


def test_a_model_that_does_not_tell_how_far_it_heard_is_given_whole_phrases() -> None:
    options = replace(OPTIONS, chunk_s=8, ends_at_pauses=True)
    spans = [seconds(0, 3), seconds(3.5, 7), seconds(7.4, 12), seconds(12.5, 30)]

    chunks = [next_chunk(seconds(0, 30), spans, start * 16_000, options) for start in (0, 7, 12)]

    assert chunks == [seconds(0, 7), seconds(7.4, 12), seconds(12.5, 20.5)]


def test_speech_after_the_last_segment_is_decoded_again() -> None:
    speech = spoken((0, 20), (21, 24), lane_s=28)

    asked, _ = walk(lambda call: say(call, 20.0, heard_s=call.chunk.duration_s), speech)

    assert [call.chunk for call in asked if not call.is_fallback] == [
        seconds(0, 28),
        seconds(21, 28),
    ]


def test_speech_without_text_among_segments_is_decoded_in_a_chunk_of_its_own() -> None:
    def answer(call: PendingChunk) -> Decoding:
        if call.chunk.start:
            return say(call)
        few = segment("a few words", 12.0, 29.0)
        return decoding(say(call, 12.0).segments[0], few)

    asked, done = walk(answer)

    assert [call.chunk for call in asked[:2]] == [seconds(0, 30), seconds(12, 42)]
    assert [s.end for s in done[0].segments] == [12.0]


def test_a_chunk_that_begins_with_speech_without_text_is_decoded_up_to_its_first_pause() -> None:
    speech = spoken((0, 3), (3.2, 6), (7, 30))

    def answer(call: PendingChunk) -> Decoding:
        is_whole = call.chunk == seconds(0, 30)
        return decoding(segment("a few words", 0.0, 29.0)) if is_whole else say(call)

    asked, done = walk(answer, speech)

    assert [call.chunk for call in asked[:3]] == [
        seconds(0, 30),
        seconds(0, 6.5),
        seconds(7, 30),
    ]
    assert len(done[0].segments[0].tokens) > 12


def test_a_song_is_not_heard_second_by_second() -> None:
    def answer(call: PendingChunk) -> Decoding:
        few = segment("la la la la", 0.0, 2.0), segment("la", 2.0, 30.0)
        return decoding(*few, heard_s=call.chunk.duration_s)

    asked, done = walk(answer, spoken((0, 100)), replace(OPTIONS, has_context=False))

    assert [chunk.n_cuts for chunk in done] == [1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert len(asked) == len(done)


def test_speech_without_text_is_left_where_one_look_is_enough() -> None:
    few = segment("a few words", 0.0, 29.0)

    asked, _ = walk(lambda call: decoding(few), spoken((0, 30)), replace(OPTIONS, falls_back=False))

    assert len(asked) == 1


def test_a_word_left_over_is_not_worth_another_chunk() -> None:
    speech = spoken((0, 20), (21, 21.9), lane_s=26)

    asked, _ = walk(lambda call: say(call, 20.0, heard_s=call.chunk.duration_s), speech)

    assert [call.chunk for call in asked] == [seconds(0, 26)]


def test_a_lane_never_stands_still() -> None:
    stuck = decoding(heard_s=0.0)

    asked, done = walk(lambda call: stuck)

    first_looks = [call.chunk.start for call in asked if not call.is_fallback]
    assert first_looks == [seconds(at, at).start for at in (0, 30, 60, 90)]
    assert done[-1].is_last


# Going on


def test_a_lane_goes_on_after_its_last_chunk_as_if_it_had_never_stopped() -> None:
    def answer(call: PendingChunk) -> Decoding:
        return say(call, 24.3)

    asked, done = walk(answer)
    asked_later, done_later = walk(answer, last=done[1])

    assert asked_later == asked[2:]
    assert done_later == done[2:]


def test_text_where_no_voice_is_heard_is_dropped_unless_all_is_to_be_transcribed() -> None:
    speech = spoken((0, 5), (8, 9), lane_s=30)
    said = segment(SURE, 0.0, 5.0), segment(" Thank you.", 20.0, 22.0)
    everything = Speech(speech.lanes, speech.lanes, speech.voiced)

    _, done = walk(lambda call: decoding(*said), replace(everything))
    _, kept = walk(
        lambda call: decoding(*said), everything, replace(OPTIONS, drops_text_in_silence=False)
    )

    assert [s.text for s in done[0].segments] == [SURE]
    assert [s.text for s in kept[0].segments] == [SURE, " Thank you."]


def test_a_sentence_that_nobody_can_say_in_the_time_of_a_laugh_is_dropped() -> None:
    laugh = Speech((seconds(0, 5),), (seconds(0, 5),), (seconds(2, 2.7),))
    sentence = "Because it can be a simple way to take a few"

    _, dropped = walk(lambda call: decoding(segment(sentence, 2.0, 2.7)), laugh)
    _, kept = walk(lambda call: decoding(segment("Yes, yes.", 2.0, 2.7)), laugh)

    assert (dropped[0].segments, dropped[0].context) == ((), ())
    assert [s.text for s in kept[0].segments] == ["Yes, yes."]


def test_a_lane_without_speech_has_nothing_to_ask() -> None:
    lane = Lane(Span(0, 16_000), Speech((Span(0, 16_000),), (), ()), OPTIONS)

    assert lane.pending is None
