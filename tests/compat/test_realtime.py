"""OpenAI's own SDK for Realtime transcription, with nothing but its address changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from environments import run_script
from real_speech import TWO_TURNS_S, n_errors, samples_of, silence, text_of, turns_of
from scipy.signal import resample_poly
from sites import Site

PROGRAM = """
import asyncio, base64, json, sys
from openai import AsyncOpenAI

url, path, turns, last_ms, pause_byte = sys.argv[1:]
n_commits = {"server_vad": 0, "none": 1, "none, twice": 2}[turns]


def is_over(got):
    kinds = [event["type"] for event in got]
    n_completed = sum(kind.endswith("transcription.completed") for kind in kinds)
    if not n_completed or n_completed < kinds.count("input_audio_buffer.committed"):
        return False
    ends = [e["audio_end_ms"] for e in got if e["type"] == "input_audio_buffer.speech_stopped"]
    if n_commits:
        return n_completed == n_commits
    return ends[-1] >= float(last_ms)


async def main():
    client = AsyncOpenAI(api_key="unused", base_url=f"{url}/v1")
    got = []
    query = {"intent": "transcription"}
    async with client.realtime.connect(model="gpt-realtime", extra_query=query) as it:
        heard = {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": {"model": "whisper-1", "language": "en"},
            "turn_detection": {"type": "server_vad"} if turns == "server_vad" else None,
        }
        await it.session.update(session={"type": "transcription", "audio": {"input": heard}})

        async def send():
            pcm = open(path, "rb").read()
            for start in range(0, len(pcm), 9600):
                sound = base64.b64encode(pcm[start : start + 9600]).decode()
                await it.input_audio_buffer.append(audio=sound)
                if n_commits == 2 and start <= int(pause_byte) < start + 9600:
                    await it.input_audio_buffer.commit()
            if n_commits:
                await it.input_audio_buffer.commit()

        sending = asyncio.create_task(send())
        async for event in it:
            got.append(event.to_dict() | {"class": type(event).__name__})
            has_text = event.type.endswith("transcription.completed")
            if event.type == "error" or (has_text and is_over(got)):
                break
        await sending
    print("RESULT", json.dumps(got))


asyncio.run(main())
"""

MOST_WRONG = 0.15


@pytest.fixture(scope="module")
def samples(two_turns: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two turns as raw samples at 24 kHz, and silence after them."""
    folder = tmp_path_factory.mktemp("samples")
    said = np.concatenate([samples_of(two_turns, folder), silence(2.0)])
    path = folder / "two-24k.s16le"
    path.write_bytes(resample_poly(said.astype(np.float64), 3, 2).astype("<i2").tobytes())
    return path


@pytest.mark.promise("T25")
@pytest.mark.parametrize("turns", ["server_vad", "none", "none, twice"])
def test_its_python_client_hears_what_was_said(
    turns: str,
    live_site: Site,
    environment: Callable[[str], Path],
    samples: Path,
    tmp_path: Path,
) -> None:
    truths = [turn for turn in turns_of("conversation") if turn.end <= TWO_TURNS_S]
    truth, last_ms = text_of(truths), 1000 * (truths[-1].end - 1)
    pause_byte = int(24_000 * (truths[0].end + truths[1].start) / 2) * 2
    said = run_script(
        environment("openai-realtime"), PROGRAM, live_site.stack.live_url, samples, turns, last_ms,
        pause_byte, cwd=tmp_path,
    )  # fmt: skip
    got: list[dict[str, Any]] = json.loads(said.rpartition("RESULT ")[2])

    completed = [event for event in got if event["type"].endswith("transcription.completed")]
    text = " ".join(event["transcript"] for event in completed)
    assert n_errors(truth, text) <= MOST_WRONG * len(truth.split()), text
    kinds = [event["type"] for event in got]
    assert "error" not in kinds
    assert kinds[:2] == ["session.created", "session.updated"]
    assert (len(completed) > 1) == (turns != "none")
    if turns == "none, twice":
        # That words which come late are divided too is shown in tests/live/test_realtime.py.
        for turn, event in zip(truths, completed, strict=True):
            said_in = text_of([turn])
            assert n_errors(said_in, event["transcript"]) <= MOST_WRONG * len(said_in.split())
    for event in completed:
        deltas = [
            other["delta"] for other in got
            if other["type"].endswith("transcription.delta")
            and other["item_id"] == event["item_id"]
        ]  # fmt: skip
        assert "".join(deltas).strip() == event["transcript"]
