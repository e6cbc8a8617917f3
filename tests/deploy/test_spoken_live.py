"""Live speech through nginx: a session of every protocol, by password and by key."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from commands import run
from deployment import Deployment
from real_speech import CONVERSATION, n_errors, samples_of, silence, turns_of
from waiting import wait_until
from websockets.sync.client import ClientConnection, connect

pytestmark = [pytest.mark.deploy, pytest.mark.main_job]

TURN = turns_of("conversation")[0]
MOST_WRONG = 0.15
STEP = 6_400
DEADLINE_S = 90

Access = dict[str, Any]
"""How somebody is let in: `headers`, `token` in the query, and `subprotocols`."""


@pytest.fixture(scope="module")
def pcm(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sentence and a second of silence: 16-bit samples, mono, 16 kHz."""
    said = samples_of(CONVERSATION, tmp_path_factory.mktemp("pcm"), TURN.end + 0.2)
    return np.concatenate([said, silence(1.0)]).astype("<i2").tobytes()


@pytest.fixture(scope="module")
def speaking(site: Deployment, real_models: Path) -> Iterator[Deployment]:
    """The site with real weights, where keys count."""
    mirror = ("--volume", f"{real_models}:/mirror:ro", "--env", "LONGHAND_MODEL_MIRROR=/mirror")
    pull = ("longhand", "models", "pull", "base")
    site.compose("run", "--rm", "--no-deps", "-T", *mirror, "worker", *pull)
    env = site.directory / ".env"
    before = env.read_text()
    env.write_text(f"{before}\nLONGHAND_AUTH=keys\nLONGHAND_DEFAULT_MODEL=base\n")
    site.up(n_workers=2)

    def is_ready() -> bool:
        answer = site.client().get("/health")
        return answer.status_code == 200 and bool(answer.json()["live_sessions_free"])

    wait_until(is_ready, DEADLINE_S, "a worker takes live sessions")
    yield site
    env.write_text(before)
    site.up()


@pytest.fixture(scope="module")
def key(speaking: Deployment) -> str:
    """Somebody's."""
    return speaking.make("key", "NAME=live-by-key").split()[-1]


@dataclass(frozen=True)
class Caller:
    """Somebody who may speak to a site."""

    site: Deployment
    access: Access

    def open(self, path: str) -> ClientConnection:
        """A WebSocket of theirs."""
        url = f"ws://127.0.0.1:{self.site.port}{self._with_token(path)}"
        more = {"additional_headers": self.access.get("headers", {})}
        return connect(url, subprotocols=self.access.get("subprotocols"), open_timeout=60, **more)

    def post(self, path: str, parts: Iterator[bytes]) -> list[dict[str, Any]]:
        """The lines that come in answer to a body without an end of its own."""
        url = f"http://127.0.0.1:{self.site.port}{self._with_token(path)}"
        headers = self.access.get("headers", {})
        with httpx2.stream("POST", url, content=parts, headers=headers, timeout=DEADLINE_S) as it:
            assert it.status_code == 200, it.read()
            return [json.loads(line) for line in it.iter_lines() if line]

    def _with_token(self, path: str) -> str:
        token = self.access.get("token")
        return path + (f"{'&' if '?' in path else '?'}token={token}" if token else "")


def parts_of(pcm: bytes) -> Iterator[bytes]:
    return (pcm[at : at + STEP] for at in range(0, len(pcm), STEP))


def messages(socket: ClientConnection) -> Iterator[dict[str, Any]]:
    """What a server says until it closes the connection."""
    return (json.loads(said) for said in socket)


def by_whisperlive(caller: Caller, pcm: bytes) -> str:
    with caller.open("/") as socket:
        socket.send(json.dumps({"uid": "u", "language": "en", "task": "transcribe"}))
        ready = json.loads(socket.recv(DEADLINE_S))
        assert ready["message"] == "SERVER_READY", ready
        for part in parts_of(pcm):
            socket.send((np.frombuffer(part, "<i2") / 32768).astype("<f4").tobytes())
        socket.send(b"END_OF_AUDIO")
        said = [message["segments"] for message in messages(socket) if "segments" in message]
    return "".join(segment["text"] for segment in said[-1])


def by_asr(caller: Caller, pcm: bytes) -> str:
    with caller.open("/asr?language=en&pcm_input=true") as socket:
        for part in parts_of(pcm):
            socket.send(part)
        socket.send(b"")
        said = list(messages(socket))
    assert said[-1] == {"type": "ready_to_stop"}
    return " ".join(line["text"] for line in said[-2]["lines"])


def by_listen(caller: Caller, pcm: bytes) -> str:
    with caller.open("/v1/listen?language=en&encoding=linear16&sample_rate=16000") as socket:
        for part in parts_of(pcm):
            socket.send(part)
        socket.send(json.dumps({"type": "CloseStream"}))
        said = [message for message in messages(socket) if message["type"] == "Results"]
    final = [message["channel"]["alternatives"][0] for message in said if message["is_final"]]
    return " ".join(alternative["transcript"] for alternative in final)


def by_realtime(caller: Caller, pcm: bytes) -> str:
    heard = {"format": {"type": "audio/pcm", "rate": 16_000}, "turn_detection": None}
    heard["transcription"] = {"model": "base", "language": "en"}
    session = {"type": "transcription", "audio": {"input": heard}}
    sent = [{"type": "session.update", "session": session}]
    for part in parts_of(pcm):
        sound = base64.b64encode(part).decode()
        sent.append({"type": "input_audio_buffer.append", "audio": sound})
    sent.append({"type": "input_audio_buffer.commit"})
    with caller.open("/v1/realtime?intent=transcription") as socket:
        for event in sent:
            socket.send(json.dumps(event))
        for event in messages(socket):
            assert event["type"] != "error", event
            if event["type"].endswith("transcription.completed"):
                return str(event["transcript"])
    raise AssertionError("the connection ended without a text")


def by_bare_samples(caller: Caller, pcm: bytes) -> str:
    query = "language=en&response_format=text"
    with caller.open(f"/v1/audio/transcriptions?{query}") as socket:
        for part in parts_of(pcm):
            socket.send(part)
        return str(list(socket)[-1])


def by_post(caller: Caller, pcm: bytes) -> str:
    query = "language=en&encoding=linear16&sample_rate=16000"
    lines = caller.post(f"/transcribe/stream?{query}", parts_of(pcm))
    assert lines[-1]["done"]
    return str(lines[-1]["text"])


PROTOCOLS: dict[str, Callable[[Caller, bytes], str]] = {
    "WhisperLive": by_whisperlive,
    "WhisperLiveKit": by_asr,
    "Deepgram": by_listen,
    "Realtime": by_realtime,
    "faster-whisper-server": by_bare_samples,
    "POST": by_post,
}


def basic(site: Deployment) -> Access:
    user = base64.b64encode(f"longhand:{site.password}".encode()).decode()
    return {"headers": {"Authorization": f"Basic {user}"}}


def by_key(protocol: str, key: str) -> Access:
    """A key, in the way in which clients of a protocol send it."""
    ways: dict[str, Access] = {
        "WhisperLive": {"token": key},
        "WhisperLiveKit": {"subprotocols": ["bearer", key]},
        "Deepgram": {"headers": {"Authorization": f"Token {key}"}},
        "Realtime": {"subprotocols": ["realtime", f"openai-insecure-api-key.{key}"]},
        "faster-whisper-server": {"headers": {"Authorization": f"Bearer {key}"}},
        "POST": {"headers": {"X-API-Key": key}},
    }
    return ways[protocol]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_sentence_is_heard_by_password_and_by_key(
    protocol: str, speaking: Deployment, key: str, pcm: bytes
) -> None:
    talk = PROTOCOLS[protocol]

    heard = [
        talk(Caller(speaking, access), pcm) for access in (basic(speaking), by_key(protocol, key))
    ]

    for text in heard:
        assert n_errors(TURN.text, text) <= MOST_WRONG * len(TURN.text.split()), text


def test_no_key_is_in_the_logs(speaking: Deployment, key: str) -> None:
    logs = speaking.compose("logs", "--no-color", "nginx", "live", "gateway").stdout
    run(
        str(speaking.directory / "deploy" / "key"),
        "--revoke",
        "live-by-key",
        cwd=speaking.directory,
    )

    assert "/v1/realtime" in logs
    assert key not in logs
