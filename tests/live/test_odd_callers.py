"""Odd audio and odd messages, by every protocol: what is meant is heard, the rest is told."""

from __future__ import annotations

import base64
import json
import math
import struct
from array import array

import pytest
from scripted_worker import utterance
from starlette.testclient import WebSocketDenialResponse
from talking import talking, until_closed

from gateway.access.keys import add_key

HELLO = json.dumps({"uid": "u1", "language": "en", "task": "transcribe", "model": "demo"})
CLOSE = json.dumps({"type": "CloseStream"})
REALTIME = "/v1/realtime?intent=transcription"
STREAM = "/transcribe/stream"


def single_bytes(data):
    return [data[n : n + 1] for n in range(len(data))]


def heard_by(worker):
    """What the worker has heard of its newest session."""
    return worker.seen[-1].pcm


def send_socket(client, path, *frames):
    """Send frames and read until the end."""
    with talking(client, path) as socket:
        for frame in frames:
            (socket.send_text if isinstance(frame, str) else socket.send_bytes)(frame)
        return until_closed(socket)


SAMPLES = struct.pack("<400h", *(round(9000 * math.sin(n / 9)) for n in range(400)))


@pytest.mark.parametrize(
    ("path", "before", "samples", "after"),
    [
        ("/", [HELLO], array("f", (v / 32768 for v in array("h", SAMPLES))).tobytes(),
         [b"END_OF_AUDIO"]),
        ("/asr?pcm_input=true", [], SAMPLES, [b""]),
        ("/v1/listen?encoding=linear16", [], SAMPLES, [CLOSE]),
        ("/v1/audio/transcriptions", [], SAMPLES, []),
    ],
)  # fmt: skip
def test_frames_of_one_byte_are_samples_when_enough_of_them_are_there(
    serve, start_worker, path, before, samples, after
):
    worker = start_worker()
    _, code = send_socket(serve(), path, *before, *single_bytes(samples), *after)

    assert heard_by(worker) == SAMPLES
    assert code == 1000


def test_a_body_may_come_byte_by_byte(serve, start_worker):
    worker = start_worker()
    answer = serve().post(f"{STREAM}?encoding=linear16", content=iter(single_bytes(SAMPLES)))

    assert heard_by(worker) == SAMPLES
    assert answer.status_code == 200


def test_realtime_takes_single_bytes(serve, start_worker):
    worker = start_worker(
        lambda claimed, entry: [utterance("done", 0.0)] if entry.ask == "flush" else []
    )
    tone = struct.pack("<4800h", *(round(9000 * math.sin(n / 9)) for n in range(4800)))
    with talking(serve(), REALTIME) as socket:
        for byte in single_bytes(tone):
            audio = base64.b64encode(byte).decode()
            socket.send_json({"type": "input_audio_buffer.append", "audio": audio})
        socket.send_json({"type": "input_audio_buffer.commit"})
        while not socket.receive_json()["type"].endswith("transcription.completed"):
            pass

    assert abs(len(heard_by(worker)) - len(tone) * 2 / 3) < 200


STEREO = array(
    "h",
    (
        value
        for n in range(44_100)
        for value in (round(9000 * math.sin(n / 16)), round(3000 * math.sin(n / 16)))
    ),
).tobytes()
WAV = (
    b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0"
    + struct.pack("<HHIIHH", 1, 2, 44_100, 176_400, 4, 16)
    + b"data\xff\xff\xff\xff"
)
RAW_STEREO = "encoding=linear16&sample_rate=44100&channels=2"


def is_mixed(pcm):
    """Whether this is the second of `STEREO`, mixed, at 16 kHz."""
    samples = array("h", pcm)[1000:-1000]
    crossings = sum(a < 0 <= b for a, b in zip(samples, samples[1:], strict=False))
    expected = 44_100 / 16 / (2 * math.pi) * len(samples) / 16_000
    return (
        abs(len(pcm) - 32_000) < 400
        and abs(crossings - expected) <= 2
        and abs(max(samples) - 6000) < 600
    )


@pytest.mark.parametrize(
    ("path", "frames"),
    [
        (f"/v1/listen?{RAW_STEREO}", [STEREO, CLOSE]),
        ("/v1/listen", [WAV + STEREO, CLOSE]),
        ("/asr", [WAV + STEREO, b""]),
    ],
)
def test_stereo_of_a_cd_is_mixed_and_resampled(serve, start_worker, path, frames):
    worker = start_worker()
    _, code = send_socket(serve(), path, *frames)

    assert is_mixed(heard_by(worker))
    assert code == 1000


@pytest.mark.parametrize(("query", "content"), [(f"?{RAW_STEREO}", STEREO), ("", WAV + STEREO)])
def test_a_body_of_stereo_is_mixed_and_resampled(serve, start_worker, query, content):
    worker = start_worker()
    answer = serve().post(STREAM + query, content=content)

    assert is_mixed(heard_by(worker))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("path", "before", "audio", "after"),
    [
        ("/", [HELLO], struct.pack("<f", 0.5) * 16_000, [b"END_OF_AUDIO"]),
        ("/asr?pcm_input=true", [], b"\x00\x40" * 16_000, [b""]),
    ],
)
def test_garbage_between_frames_of_audio_changes_nothing(
    serve, start_worker, path, before, audio, after
):
    worker = start_worker()
    garbage = ["garbage", "[" * 100_000, '{"type": []}', "\x00", "END_OF_AUDIO"]
    _, code = send_socket(serve(), path, *before, *garbage, audio, *garbage, *after)

    assert heard_by(worker) == b"\x00\x40" * 16_000
    assert code == 1000


@pytest.mark.parametrize("path", ["/", "/asr", "/v1/audio/transcriptions"])
@pytest.mark.parametrize("token", ["wrong", "lh_" + "a" * 40, "ä", "x" * 5000])
def test_a_wrong_token_closes_a_socket_with_4401(serve, tmp_path, path, token):
    add_key(tmp_path / "keys.json", "ann")
    client = serve(auth="keys", api_keys_file=tmp_path / "keys.json")
    with talking(client, f"{path}?token={token}") as socket:
        _, code = until_closed(socket)

    assert code == 4401


@pytest.mark.parametrize("path", ["/v1/listen?", REALTIME + "&"])
def test_a_wrong_token_is_a_401_where_clients_expect_a_status(serve, tmp_path, path):
    add_key(tmp_path / "keys.json", "ann")
    client = serve(auth="keys", api_keys_file=tmp_path / "keys.json")
    with pytest.raises(WebSocketDenialResponse) as refused, talking(client, f"{path}token=wrong"):
        pass
    streamed = client.post(f"{STREAM}?token=wrong", content=WAV + STEREO)

    assert (refused.value.status_code, streamed.status_code) == (401, 401)


def test_whoever_says_nothing_is_told_and_left(serve, start_worker):
    start_worker()
    client = serve(live_idle_s=1)
    with talking(client) as socket:
        [told], code = until_closed(socket)
    with talking(client, "/asr") as socket:
        _, idle = until_closed(socket)

    assert (told["status"], code) == ("ERROR", 1008)
    assert told["message"].startswith("no handshake came")
    assert idle == 1011


def test_a_whisperlive_client_is_warned_of_what_has_no_effect(serve, start_worker):
    start_worker()
    client = serve()
    asked = json.loads(HELLO) | {"enable_translation": True, "enable_diarization": True}
    said, _ = send_socket(client, "/", json.dumps(asked), b"END_OF_AUDIO")
    plain, _ = send_socket(client, "/", HELLO, b"END_OF_AUDIO")

    assert [m["message"] for m in said if m.get("status") == "WARNING"] == [
        "enable_translation has no effect; ask for the task translate",
        "enable_diarization has no effect; speakers are told apart in recordings only",
    ]
    assert [m for m in plain if "status" in m] == []
