"""The items of OpenAI's Realtime transcription, with a scripted worker behind it."""

from __future__ import annotations

import math

import pytest
from realtime_client import (
    ADDED,
    CLEAR,
    CLEARED,
    COMMIT,
    COMMITTED,
    COMPLETED,
    CREATED,
    DELTA,
    FAILED,
    PATH,
    SECOND,
    STARTED,
    STOPPED,
    after,
    append,
    edge,
    error_of,
    kinds_of,
    on_flush,
    only,
    say_two,
    send,
    until,
    update,
)
from scripted_worker import words
from talking import talking, until_closed

from shared.live.updates import SegmentEnd


def test_an_utterance_begins_ends_and_gets_its_text(serve, start_worker):
    start_worker(say_two())
    with talking(serve(), PATH) as socket:
        send(socket, update(transcription={"model": "whisper-1", "language": "en"}))
        send(socket, append(), append(), append())
        told = until(socket, COMPLETED) + until(socket, COMPLETED)

    assert kinds_of(told) == [
        "session.created", "session.updated",
        STARTED, STOPPED, COMMITTED, ADDED, CREATED, DELTA, COMPLETED,
        STARTED, STOPPED, COMMITTED, ADDED, CREATED, DELTA, COMPLETED,
    ]  # fmt: skip
    first, second = only(told, COMPLETED)
    assert (first["transcript"], second["transcript"]) == ("Good morning, Ann.", "It is over.")
    assert [event["delta"] for event in only(told, DELTA)] == ["Good morning, Ann.", "It is over."]
    assert first["usage"] == {"type": "duration", "seconds": 0.75}
    started, stopped = only(told, STARTED)[0], only(told, STOPPED)[0]
    assert (started["audio_start_ms"], stopped["audio_end_ms"]) == (250, 1000)
    committed = only(told, COMMITTED)
    assert [event["previous_item_id"] for event in committed] == [None, first["item_id"]]
    assert {started["item_id"], stopped["item_id"], committed[0]["item_id"]} == {first["item_id"]}
    assert only(told, CREATED)[1]["item"]["id"] == second["item_id"] != first["item_id"]
    assert len({event["event_id"] for event in told}) == len(told)


def test_words_come_as_they_are_certain(serve, start_worker):
    end = SegmentEnd(n_words=2, reason="utterance")
    start, stop = edge(0.0, is_start=True), edge(1.5, is_start=False)
    first = {"committed": words("Good", 0.0), "edges": (start,)}
    last = {"committed": words("morning.", 1.0), "ends": (end,), "edges": (stop,)}
    start_worker(after((1, first), (2, last)))
    with talking(serve(), PATH) as socket:
        send(socket, append())
        before = until(socket, DELTA)
        send(socket, append())
        rest = until(socket, COMPLETED)

    assert COMPLETED not in kinds_of(before) and before[-1]["delta"] == "Good"
    assert [event["delta"] for event in only(rest, DELTA)] == [" morning."]
    assert rest[-1]["transcript"] == "Good morning."


def test_a_client_may_commit_by_itself(serve, start_worker):
    worker = start_worker(on_flush(("so far", 0.25)))
    with talking(serve(), PATH) as socket:
        send(socket, update(turn_detection=None), append(), {"type": COMMIT})
        told = until(socket, COMPLETED)

    assert kinds_of(told)[2:] == [COMMITTED, ADDED, CREATED, DELTA, COMPLETED]
    assert told[-1]["transcript"] == "so far"
    assert told[-1]["usage"]["seconds"] == pytest.approx(1.0, abs=0.05)
    assert told[1]["session"]["audio"]["input"]["turn_detection"] is None
    assert worker.seen[0].request.endpoint_s == 10.0


def test_words_of_two_commits_are_divided_by_their_audio(serve, start_worker):
    start_worker(on_flush(("one two", 0.25), ("three four", 1.25)))
    with talking(serve(), PATH) as socket:
        send(socket, update(turn_detection=None))
        send(socket, append(), {"type": COMMIT}, append(), {"type": COMMIT})
        told = until(socket, COMPLETED, COMPLETED)

    assert [event["transcript"] for event in only(told, COMPLETED)] == ["one two", "three four"]
    assert [event["item_id"] for event in only(told, COMPLETED)] == [
        event["item_id"] for event in only(told, COMMITTED)
    ]


def test_a_commit_of_next_to_nothing_is_refused(serve, start_worker):
    start_worker(on_flush(("a", 0.0)))
    with talking(serve(), PATH) as socket:
        send(socket, update(turn_detection=None), {"type": COMMIT, "event_id": "mine"})
        first = error_of(socket)
        send(socket, append(SECOND[:2400]), {"type": COMMIT})
        second = error_of(socket)
        send(socket, append(), {"type": COMMIT})
        assert until(socket, COMPLETED)[-1]["transcript"] == "a"

    assert first["code"] == second["code"] == "input_audio_buffer_commit_empty"
    assert first["event_id"] == "mine"
    assert "100 ms" in second["message"] and "50 ms" in second["message"]


def test_what_is_cleared_is_not_written(serve, start_worker):
    start_worker(on_flush(("forget this. Keep this.", 0.25)))
    with talking(serve(), PATH) as socket:
        send(socket, update(turn_detection=None))
        # Of four words of a quarter of a second each, the first two are in the part cleared.
        send(socket, append(SECOND[: 24_000 * 2 * 3 // 4]), {"type": CLEAR})
        send(socket, append(), {"type": COMMIT})
        told = until(socket, COMPLETED)

    assert CLEARED in kinds_of(told)
    assert told[-1]["transcript"] == "Keep this."


def test_clearing_while_somebody_speaks_leaves_no_item_without_its_end(serve, start_worker):
    end = SegmentEnd(n_words=5, reason="utterance")
    said, stop = words("No. No. No. No. Yes.", 0.0), edge(1.5, is_start=False)
    last = {"committed": said, "ends": (end,), "edges": (stop,)}
    start_worker(after((1, {"edges": (edge(0.0, is_start=True),)}), (2, last)))
    with talking(serve(), PATH) as socket:
        send(socket, append())
        until(socket, STARTED)
        send(socket, {"type": CLEAR}, append())
        told = until(socket, COMPLETED)

    assert kinds_of(told)[0] == CLEARED and STOPPED in kinds_of(told)
    assert told[-1]["transcript"] == "Yes."


def test_speech_without_words_ends_with_an_empty_text(serve, start_worker):
    edges = (edge(0.2, is_start=True), edge(0.7, is_start=False))
    start_worker(after((1, {"edges": edges})))
    with talking(serve(), PATH) as socket:
        send(socket, append())
        told = until(socket, COMPLETED)

    assert kinds_of(told)[1:] == [STARTED, STOPPED, COMMITTED, ADDED, CREATED, COMPLETED]
    assert told[-1]["transcript"] == ""


def test_what_is_said_after_a_commit_is_an_item_of_its_own(serve, start_worker):
    ends = [SegmentEnd(n_words=n, reason=why) for n, why in ((1, "flush"), (2, "utterance"))]
    last = {
        "committed": words("second.", 1.25), "ends": ends[1:],
        "edges": (edge(1.5, is_start=False),),
    }  # fmt: skip
    heard = after((1, {"edges": (edge(0.0, is_start=True),)}), (2, last))

    def script(claimed, entry):
        if entry.ask == "flush":
            return [{"committed": words("First", 0.25), "ends": ends[:1]}]
        return heard(claimed, entry)

    start_worker(script)
    with talking(serve(), PATH) as socket:
        send(socket, append(), {"type": COMMIT})
        first = until(socket, COMPLETED)
        send(socket, append())
        second = until(socket, COMPLETED)

    assert [first[-1]["transcript"], second[-1]["transcript"]] == ["First", "second."]
    assert kinds_of(second)[0] == STARTED and STOPPED in kinds_of(second)
    assert first[-1]["item_id"] != second[-1]["item_id"]


def test_words_come_with_probabilities_if_they_are_asked_for(serve, start_worker):
    start_worker(say_two())
    session = {"type": "transcription", "include": ["item.input_audio_transcription.logprobs"]}
    with talking(serve(), PATH) as socket:
        send(socket, {"type": "session.update", "session": session})
        send(socket, append(), append(), append())
        told = until(socket, COMPLETED)

    found = told[-1]["logprobs"]
    assert [entry["token"] for entry in found] == [" Good", " morning,", " Ann."]
    assert found[0]["logprob"] == pytest.approx(math.log(0.9))
    assert bytes(found[0]["bytes"]).decode() == " Good"
    assert only(told, DELTA)[0]["logprobs"] == found


def test_items_of_a_session_that_is_lost_have_failed(serve, start_worker):
    start = {"edges": (edge(0.0, is_start=True),)}
    start_worker(after((1, start, {"is_last": True, "problem": "the model is gone"})))
    with talking(serve(), PATH) as socket:
        send(socket, append())
        told, code = until_closed(socket)

    assert told[-2]["type"] == FAILED
    assert told[-2]["error"]["message"] == told[-1]["error"]["message"] == "the model is gone"
    assert told[-2]["item_id"] == only(told, STARTED)[0]["item_id"]
    assert code == 1000
