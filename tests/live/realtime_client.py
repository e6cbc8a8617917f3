"""What a client of Realtime sends, and scripts of what a worker hears."""

from __future__ import annotations

import base64
import json

from scripted_worker import utterance, words

from shared.live.updates import SegmentEnd, SpeechEdge

PATH = "/v1/realtime?intent=transcription"
SECOND = b"\x00\x40" * 24_000
APPEND, COMMIT, CLEAR = (f"input_audio_buffer.{what}" for what in ("append", "commit", "clear"))
STARTED, STOPPED = (f"input_audio_buffer.speech_{what}" for what in ("started", "stopped"))
COMMITTED, CLEARED = "input_audio_buffer.committed", "input_audio_buffer.cleared"
ADDED, CREATED = "conversation.item.added", "conversation.item.created"
DELTA, COMPLETED, FAILED = (
    f"conversation.item.input_audio_transcription.{what}"
    for what in ("delta", "completed", "failed")
)
BETA = {"headers": {"OpenAI-Beta": "realtime=v1"}}


def append(pcm=SECOND):
    return {"type": APPEND, "audio": base64.b64encode(pcm).decode()}


def update(event_id=None, **heard):
    value = {"type": "transcription", "audio": {"input": heard}}
    event = {"type": "session.update", "session": value}
    return event | ({"event_id": event_id} if event_id else {})


def send(socket, *events):
    for event in events:
        socket.send_text(event if isinstance(event, str) else json.dumps(event))


def until(socket, *kinds):
    """Every event up to the first of each of these kinds."""
    found, left = [], list(kinds)
    while left:
        found.append(socket.receive_json())
        if found[-1]["type"] in left:
            left.remove(found[-1]["type"])
    return found


def kinds_of(events):
    return [event["type"] for event in events]


def only(events, kind):
    return [event for event in events if event["type"] == kind]


def error_of(socket):
    return until(socket, "error")[-1]["error"]


def after(*steps):
    """
    A script that gives updates once so many seconds of audio have come.

    The resampler holds back some samples, so a second of audio ends a little early.
    """
    left = list(steps)

    def script(_claimed, entry):
        found = []
        while left and entry.pcm and entry.end >= (left[0][0] - 0.05) * 16_000:
            found += left.pop(0)[1:]
        return found

    return script


def say_two():
    """Two utterances in the third second of audio."""
    return after((3, utterance("Good morning, Ann.", 0.25), utterance("It is over.", 2.0, 3)))


def edge(at, *, is_start):
    return SpeechEdge(at=at, is_start=is_start)


def on_flush(*said):
    """Gives the words of each flush, as (text, start), when the last of so many is asked for."""

    def script(claimed, entry):
        if entry.ask == "flush" and claimed.n_flushed == len(said):
            heard = [word for text, start in said for word in words(text, start)]
            end = SegmentEnd(n_words=len(heard), reason="flush")
            return [{"committed": tuple(heard), "ends": (end,)}]
        return [{"flushed": 0}]

    return script
