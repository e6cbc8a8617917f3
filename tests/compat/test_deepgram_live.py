"""Deepgram's own clients for live speech, with nothing but their address changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from environments import run_script
from real_speech import TWO_TURNS_S, n_errors, samples_of, text_of, turns_of
from sites import Site

NEWER = """
import json, sys, threading
from deepgram import DeepgramClient
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment

url, path = sys.argv[1:]
ws = url.replace("http", "ws", 1)
try:
    here = DeepgramClientEnvironment(base=url, production=ws, agent=ws, agent_rest=url)
except TypeError:  # older ones have no address for this
    here = DeepgramClientEnvironment(base=url, production=ws, agent=ws)
client = DeepgramClient(api_key="unused", environment=here)
got, is_final = [], threading.Event()


def take(message):
    got.append([type(message).__name__, message.dict()])
    if getattr(message, "from_finalize", False):
        is_final.set()


options = {"encoding": "linear16", "sample_rate": "16000", "interim_results": "true"}
with client.listen.v1.connect(model="nova-2", language="en", vad_events="true", **options) as it:
    it.on(EventType.MESSAGE, take)
    reading = threading.Thread(target=it.start_listening)
    reading.start()
    pcm = open(path, "rb").read()
    for start in range(0, len(pcm), 6400):
        it.send_media(pcm[start : start + 6400])
    if hasattr(it, "send_finalize"):
        it.send_keep_alive()
        it.send_finalize()
        is_final.wait(60)
        it.send_close_stream()
    else:
        from deepgram.extensions.types.sockets import ListenV1ControlMessage

        for kind in ("KeepAlive", "Finalize"):
            it.send_control(ListenV1ControlMessage(type=kind))
        is_final.wait(60)
        it.send_control(ListenV1ControlMessage(type="CloseStream"))
    reading.join(60)
print("RESULT", json.dumps(got, default=str))
"""

OLDER = """
import json, sys, threading
from deepgram import DeepgramClient, DeepgramClientOptions, LiveOptions, LiveTranscriptionEvents

url, path = sys.argv[1:]
it = DeepgramClient("unused", DeepgramClientOptions(url=url)).listen.websocket.v("1")
got, is_final = [], threading.Event()


def take(name, message):
    got.append([name, message.to_dict()])
    if getattr(message, "from_finalize", False):
        is_final.set()


for name, event in {
    "Metadata": LiveTranscriptionEvents.Metadata,
    "Results": LiveTranscriptionEvents.Transcript,
    "SpeechStarted": LiveTranscriptionEvents.SpeechStarted,
    "Error": LiveTranscriptionEvents.Error,
}.items():
    it.on(event, lambda _it, name=name, **kinds: [
        take(name, kinds[kind])
        for kind in ("metadata", "result", "speech_started", "error") if kind in kinds
    ])
assert it.start(LiveOptions(
    model="nova-2", language="en", encoding="linear16", sample_rate=16000, interim_results=True,
    vad_events=True,
))
pcm = open(path, "rb").read()
for start in range(0, len(pcm), 6400):
    it.send(pcm[start : start + 6400])
it.keep_alive()
it.finalize()
is_final.wait(60)
it.finish()
print("RESULT", json.dumps(got, default=str))
"""

NODE = """
import { readFileSync } from "node:fs";
import { DeepgramClient } from "@deepgram/sdk";

const [url, path] = process.argv.slice(2);
const ws = url.replace("http", "ws");
const environment = { base: url, production: ws, agent: ws, agentRest: url };
const client = new DeepgramClient({ apiKey: "unused", environment });
const it = await client.listen.v1.connect({
  model: "nova-2", language: "en", encoding: "linear16", sample_rate: 16000,
  interim_results: "true", vad_events: "true", Authorization: "Token unused",
});
const got = [];
const closed = new Promise((done) => it.on("close", done));
let finalize;
const isFinal = new Promise((done) => { finalize = done; });
it.on("message", (message) => {
  got.push([message.type, message]);
  if (message.from_finalize) finalize();
});
it.connect();
await it.waitForOpen();
const pcm = readFileSync(path);
for (let start = 0; start < pcm.length; start += 6400) {
  it.sendMedia(pcm.subarray(start, start + 6400));
}
it.sendKeepAlive({ type: "KeepAlive" });
it.sendFinalize({ type: "Finalize" });
await isFinal;
it.sendCloseStream({ type: "CloseStream" });
await closed;
console.log("RESULT", JSON.stringify(got));
process.exit(0);
"""

MOST_WRONG = 0.15


@pytest.fixture(scope="module")
def samples(two_turns: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two turns as raw samples."""
    folder = tmp_path_factory.mktemp("samples")
    path = folder / "two.s16le"
    path.write_bytes(samples_of(two_turns, folder).tobytes())
    return path


def assert_heard(said: str) -> None:
    """What a client was sent is the recording, in messages that its SDK could read."""
    got: list[Any] = json.loads(said.rpartition("RESULT ")[2])
    results = [message for _, message in got if message.get("type") == "Results"]
    final = [r for r in results if r["is_final"]]
    text = " ".join(r["channel"]["alternatives"][0]["transcript"] for r in final).strip()
    truth = text_of(turn for turn in turns_of("conversation") if turn.end <= TWO_TURNS_S)
    kinds = {message.get("type") for _, message in got}

    assert n_errors(truth, text) <= MOST_WRONG * len(truth.split()), text
    assert any(not r["is_final"] for r in results)
    assert any(r["from_finalize"] for r in final)
    assert {"Metadata", "Results", "SpeechStarted"} <= kinds
    assert "Error" not in kinds
    words = [w for r in final for w in r["channel"]["alternatives"][0]["words"]]
    assert all(a["end"] <= b["end"] for a, b in zip(words, words[1:], strict=False))


@pytest.mark.promise("S1-20")
@pytest.mark.parametrize(
    ("version", "program"),
    [("deepgram", NEWER), ("deepgram-7", NEWER), ("deepgram-4", OLDER), ("deepgram-3", OLDER)],
    ids=["7.17", "7.7", "4.8", "3.10"],
)
def test_its_python_client_hears_what_was_said(
    version: str,
    program: str,
    live_site: Site,
    environment: Callable[[str], Path],
    samples: Path,
    tmp_path: Path,
) -> None:
    url = live_site.stack.live_url

    assert_heard(run_script(environment(version), program, url, samples, cwd=tmp_path))


@pytest.mark.promise("S1-20")
def test_its_javascript_client_hears_what_was_said(
    live_site: Site, node_project: Callable[[str], Path], samples: Path
) -> None:
    folder = node_project("deepgram")

    assert_heard(run_script("node", NODE, live_site.stack.live_url, samples, cwd=folder))
