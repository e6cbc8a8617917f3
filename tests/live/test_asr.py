"""WhisperLiveKit's `/asr`, with a scripted worker behind it."""

from __future__ import annotations

import io
import struct
import wave
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_worker import utterance, words
from talking import talking, until_closed
from waiting import wait_until

from gateway.access.keys import add_key
from gateway.live.protocols.asr.state import State
from gateway.live.sessions.text import LiveText
from shared.live.updates import LiveUpdate, LiveWord, SegmentEnd

BUFFERS = {"buffer_transcription": "", "buffer_diarization": "", "buffer_translation": ""}
SECOND = struct.pack("<h", 1000) * 16_000


def say_two(claimed, entry):
    if entry.ask == "end":
        return [utterance("It is over", 62.5, claimed.n_words, language="en")]
    if entry.pcm and entry.end == 16_000:
        return [utterance("Good morning", 0.25), {"tail": words("it is", 1.0)}]
    return []


def said_for(client, path, *frames):
    """What a client is sent who sends these frames and then an empty one, and the close."""
    with talking(client, path) as socket:
        for frame in (*frames, b""):
            socket.send_bytes(frame)
        return until_closed(socket)


@pytest.mark.promise("S1-40", "S1-41", "S1-42", "S1-43", "S1-44", "S1-45", "S1-46", "S1-70")
def test_the_whole_state_comes_with_each_change(serve, start_worker):
    start_worker(say_two)
    [config, *said, stop], code = said_for(serve(), "/asr?pcm_input=true", SECOND)

    first = {"speaker": 1, "text": "Good morning", "start": "0:00:00", "end": "0:00:00"}
    silence = {"speaker": -2, "text": None, "start": "0:00:00", "end": "0:01:02"}
    last = {"speaker": 1, "text": "It is over", "start": "0:01:02", "end": "0:01:03"}
    assert config == {"type": "config", "useAudioWorklet": True, "mode": "full"}
    assert said[0] == {
        "status": "no_audio_detected", "lines": [], **BUFFERS,
        "remaining_time_transcription": said[0]["remaining_time_transcription"],
        "remaining_time_diarization": 0.0,
    }  # fmt: skip
    assert [(m["lines"], m["buffer_transcription"]) for m in said[1:3]] == [
        ([first], ""), ([first], "it is"),
    ]  # fmt: skip
    assert said[-1]["lines"] == [first, silence, last | {"detected_language": "en"}]
    assert {m["status"] for m in said[1:]} == {"active_transcription"}
    assert stop == {"type": "ready_to_stop"}
    assert code == 1000


@pytest.mark.promise("S1-40", "S1-41", "S1-50", "S1-51", "S1-52", "S1-62")
def test_differences_follow_a_snapshot(serve, start_worker):
    start_worker(say_two)
    client = serve()
    [config, *said, stop], _ = said_for(client, "/asr?mode=diff&pcm_input=true", SECOND)
    [_, *full, _], _ = said_for(client, "/asr?pcm_input=true", SECOND)

    assert config["mode"] == "diff"
    assert (said[0]["type"], said[0]["lines"]) == ("snapshot", [])
    assert {message["type"] for message in said[1:]} == {"diff"}
    assert [message["seq"] for message in said] == list(range(1, len(said) + 1))
    assert [len(m.get("new_lines", ())) for m in said if "new_lines" in m] == [1, 2]
    assert not any("lines_pruned" in message or "error" in message for message in said)
    assert rebuilt(said)[-1] == full[-1]["lines"]
    assert stop == {"type": "ready_to_stop"}


@pytest.mark.promise("S1-60")
def test_raw_audio_may_be_cut_at_any_byte(serve, start_worker):
    worker = start_worker()
    parts = [SECOND[:1], SECOND[1:16_000], SECOND[16_000:]]
    with talking(serve(asr_pcm_input=True), "/asr") as socket:
        for part in parts:
            socket.send_bytes(part)
        config = socket.receive_json()
        claimed = worker.session()
        socket.send_bytes(b"")
        until_closed(socket)

    assert config["useAudioWorklet"] is True
    assert claimed.pcm == SECOND


@pytest.mark.promise("S1-61")
def test_a_container_may_be_cut_at_any_byte(serve, start_worker):
    worker = start_worker()
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(SECOND)
    whole = file.getvalue()
    with talking(serve(), "/asr") as socket:
        config = socket.receive_json()
        for part in (whole[:7], whole[7:30], whole[30:]):
            socket.send_bytes(part)
        claimed = worker.session()
        socket.send_bytes(b"")
        until_closed(socket)

    assert config["useAudioWorklet"] is False
    assert claimed.pcm == SECOND


@pytest.mark.promise("S1-47")
def test_what_is_no_audio_is_an_error_in_the_state(serve, start_worker):
    worker = start_worker()
    [_, *said], code = said_for(serve(), "/asr", b"this is not any container")

    wait_until(lambda: not worker.sessions, 10, "the worker's place to be free")
    assert "none of wav, flac" in said[-1]["error"]
    assert not any("error" in message for message in said[:-1])
    assert code == 1003


def test_a_client_without_audio_may_stop(serve, start_worker):
    start_worker()
    said, code = said_for(serve(), "/asr")

    assert said[-1] == {"type": "ready_to_stop"}
    assert code == 1000


@pytest.mark.promise("S1-71")
def test_each_session_has_its_own_language(serve, start_worker):
    worker = start_worker()
    client = serve()
    with (
        talking(client, "/asr?language=fr") as french,
        talking(client, "/asr?language=auto") as any_,
    ):
        for socket in (french, any_):
            socket.receive_json()
            socket.receive_json()
        asked = {claimed.request.language for claimed in worker.sessions.values()}

    assert asked == {"fr", None}


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("language=klingon", "language: language 'klingon' is not known"),
        ("mode=half", "mode: Input should be 'full' or 'diff'"),
        ("pcm_input=perhaps", "pcm_input: Input should be a valid boolean"),
        ("target_language=fr", "target_language: live speech is not translated"),
    ],
)
def test_a_bad_query_is_an_error_and_no_session(serve, query, problem):
    with talking(serve(), f"/asr?{query}") as socket:
        [said], code = until_closed(socket)

    assert said["type"] == "error"
    assert said["error"].startswith(problem)
    assert code == 4400


def test_a_site_with_keys_lets_nobody_in_without_one(serve, start_worker, tmp_path):
    start_worker()
    key = add_key(tmp_path / "keys.json", "ann")
    client = serve(auth="keys", api_keys_file=tmp_path / "keys.json")
    [refused], code = said_for(client, "/asr")
    said, _ = said_for(client, f"/asr?token={key}")
    with talking(client, "/asr", subprotocols=["bearer", "wrong"]) as socket:
        _, wrong = until_closed(socket)
    with talking(client, "/asr", subprotocols=["bearer", key]) as socket:
        by_subprotocol = socket.receive_json()

    assert (refused["type"], code, wrong) == ("error", 4401, 4401)
    assert by_subprotocol["type"] == "config"
    assert said[-1] == {"type": "ready_to_stop"}


def test_without_a_worker_the_client_is_told(serve):
    with talking(serve(), "/asr") as socket:
        [_, said], code = until_closed(socket)

    assert said["type"] == "error"
    assert code == 1013


def rebuilt(messages):
    """The lines after each message, as `reconstruct_state` of WhisperLiveKit makes them."""
    lines, states = [], []
    for message in messages:
        if message["type"] == "snapshot":
            lines = list(message["lines"])
        else:
            del lines[: message.get("lines_pruned", 0)]
            lines.extend(message.get("new_lines", []))
            assert len(lines) == message["n_lines"]
        states.append(lines[:])
    return states


UPDATES = st.lists(
    st.tuples(
        st.lists(st.text("abc 字", min_size=1, max_size=3), max_size=4),  # words
        st.booleans(),  # whether a segment ends here
        st.floats(0, 12),  # silence after it
        st.lists(st.text("xyz", max_size=3), max_size=2),  # tail
        st.sampled_from([None, "SPEAKER_00", "SPEAKER_12"]),
    ),
    max_size=12,
)


def texts_of(updates):
    """The text after each update."""
    text, at = LiveText(), 0.0
    for seq, (said, is_end, pause, tail, speaker) in enumerate(updates, 1):
        n_before = text.n_words
        committed = tuple(
            LiveWord(text=word, start=at + n, end=at + n + 1, probability=1)
            for n, word in enumerate(said)
        )
        at += len(said) + pause
        end = SegmentEnd(n_words=n_before + len(said), reason="utterance", speaker=speaker)
        rest = tuple(LiveWord(text=word, start=at, end=at, probability=0) for word in tail)
        text.apply(
            LiveUpdate(seq=seq, heard_s=at, n_before=n_before, committed=committed, tail=rest,
                       ends=(end,) if is_end else ())
        )  # fmt: skip
        yield text


@pytest.mark.promise("S1-53", "S1-54")
@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(UPDATES)
def test_differences_rebuild_the_whole_state(updates):
    states = [State()]
    for text in texts_of(updates):
        states.append(states[-1].follow(text, received_s=text.heard_s))
    messages = [states[0].message(None, 1)]
    messages += [after.message(before, n) for n, (before, after) in enumerate(pairwise(states), 2)]

    assert rebuilt(messages) == [state.full()["lines"] for state in states]
    for message, state in zip(messages, states, strict=True):
        whole = state.full()
        assert {name: message[name] for name in whole if name != "lines"} == {
            name: whole[name] for name in whole if name != "lines"
        }
