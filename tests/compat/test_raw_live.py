"""Wyoming's own client, and curl, on real speech and `tiny.en`."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest
from conftest import running_site
from environments import run_script
from real_speech import TWO_TURNS_S, n_errors, samples_of, text_of, turns_of
from sites import Site
from websockets.sync.client import connect

from cli.redis_server import free_port

PROGRAM = """
import asyncio, json, sys, wave
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioStop, wav_to_chunks
from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info

async def talk(port, path):
    async with AsyncTcpClient("127.0.0.1", int(port)) as client:
        await client.write_event(Describe().event())
        info = Info.from_event(await client.read_event())
        await client.write_event(Transcribe(language="en").event())
        with wave.open(path) as wav:
            for chunk in wav_to_chunks(wav, 1024, start_event=True, stop_event=True):
                await client.write_event(chunk.event())
        transcript = Transcript.from_event(await client.read_event())
    models = {model.name: model.languages for model in info.asr[0].models}
    print("RESULT", json.dumps([models, transcript.text, transcript.language]))

asyncio.run(talk(*sys.argv[1:]))
"""

MOST_WRONG = 0.15


def is_what_was_said(text: str) -> bool:
    truth = text_of(turn for turn in turns_of("conversation") if turn.end <= TWO_TURNS_S)
    return n_errors(truth, " ".join(text.split())) <= MOST_WRONG * len(truth.split())


def encoded(path: Path, kind: str, codec: str) -> bytes:
    """A WAV as another kind of file."""
    out = io.BytesIO()
    with av.open(path) as reading, av.open(out, "w", format=kind) as writing:
        stream: Any = writing.add_stream(codec, rate=48_000, layout="mono")
        for frame in reading.decode(audio=0):
            writing.mux(stream.encode(frame))
        writing.mux(stream.encode(None))
    return out.getvalue()


@pytest.fixture(scope="module")
def wyoming_port() -> int:
    """The port on which the site serves Wyoming."""
    return free_port()


@pytest.fixture(scope="module")
def live_site(
    real_models: Path, wyoming_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A site with `tiny.en` that serves Wyoming."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.en").symlink_to(real_models / "tiny.en", target_is_directory=True)
    with running_site(
        folder,
        LONGHAND_DEFAULT_MODEL="tiny.en",
        LONGHAND_MODEL_ALIASES="",
        LONGHAND_WYOMING_PORT=str(wyoming_port),
    ) as site:
        yield site


@pytest.mark.usefixtures("live_site")
def test_wyomings_client_hears_what_was_said(
    environment: Callable[[str], Path], wyoming_port: int, two_turns: Path, tmp_path: Path
) -> None:
    said = run_script(environment("wyoming"), PROGRAM, wyoming_port, two_turns, cwd=tmp_path)
    models, text, language = json.loads(said.rpartition("RESULT ")[2])

    assert models["tiny.en"] == ["en"]
    assert is_what_was_said(text), text
    assert language == "en"


@pytest.mark.promise("S2-15")
@pytest.mark.parametrize(
    ("kind", "codec"), [("wav", "pcm_s16le"), ("webm", "libopus"), ("mp3", "libmp3lame")]
)
def test_curl_pipes_a_recording_and_gets_its_words(
    kind: str, codec: str, live_site: Site, two_turns: Path
) -> None:
    url = f"{live_site.stack.live_url}/transcribe/stream"
    curl = ["curl", "-sSN", "-X", "POST", "-T", "-", "-H", "Accept: text/plain", url]
    data = encoded(two_turns, kind, codec)
    ended = subprocess.run(curl, input=data, capture_output=True, timeout=120)

    assert is_what_was_said(ended.stdout.decode()), ended


@pytest.mark.promise("S3-08")
def test_bare_samples_become_words_though_nobody_ends_them(
    live_site: Site, two_turns: Path, tmp_path: Path
) -> None:
    url = live_site.stack.live_url.replace("http", "ws", 1)
    samples = samples_of(two_turns, tmp_path).tobytes()
    with connect(f"{url}/v1/audio/transcriptions?response_format=text") as socket:
        for at in range(0, len(samples), 6_400):
            socket.send(samples[at : at + 6_400])
        said = list(socket)

    assert is_what_was_said(str(said[-1])), said
    assert all(str(b).startswith(str(a)) for a, b in zip(said, said[1:], strict=False))
