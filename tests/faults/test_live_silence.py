"""Hours of silence, and noise: no words, no memory; and speech that comes as fast as it can."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from process_tree import children_of, status_bytes
from real_speech import n_errors, samples_of
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

sys.path.insert(0, str(Path(__file__).parent))

from live_callers import RATE_HZ, SPEECH, read_speech  # noqa: E402

from cli.stack import Stack  # noqa: E402

pytestmark = [pytest.mark.faults]

HOURS = 3
SECOND = bytes(2 * RATE_HZ)
ALLOWED_BYTES = 40_000_000
"""A tenth of the audio of this silence as 16-bit samples: nothing may hold all of it."""


def heard(
    url: str, pcm: bytes, n_times: int = 1, at_share: Callable[[], None] | None = None
) -> Any:
    """
    What Deepgram's protocol tells of some audio that is sent as fast as it is taken.

    Args:
        n_times: How often the audio is sent.
        at_share: Called when a tenth of it is taken.
    """
    query = "encoding=linear16&interim_results=true&language=en"
    with connect(f"{url.replace('http', 'ws', 1)}/v1/listen?{query}", ping_interval=None) as socket:

        def speak() -> None:
            for n in range(n_times):
                for at in range(0, len(pcm), len(SECOND)):
                    socket.send(pcm[at : at + len(SECOND)])
                if n == n_times // 10 and at_share:
                    at_share()
            socket.send(json.dumps({"type": "CloseStream"}))

        speaking = threading.Thread(target=speak, daemon=True)
        speaking.start()
        said = []
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                said.append(json.loads(socket.recv(timeout=120)))
        speaking.join(60)
    assert closed.value.rcvd is not None
    return said, closed.value.rcvd.code


def texts(said: list[dict[str, Any]], *, final: bool = False) -> list[str]:
    """The text of each result."""
    results = [m for m in said if m["type"] == "Results" and (m["is_final"] or not final)]
    return [r["channel"]["alternatives"][0]["transcript"] for r in results]


def test_hours_of_silence_and_noise_bring_no_words_and_take_no_memory(
    start_stack: Callable[..., Stack], real_models: Path, tmp_path: Path
) -> None:
    models = {"LONGHAND_DEFAULT_MODEL": "tiny.en", "LONGHAND_MODELS_DIR": str(real_models)}
    stack = start_stack(env=models)
    pcm, truth = read_speech(tmp_path)

    fast, code = heard(stack.live_url, pcm)
    assert code == 1000
    assert fast[-1]["duration"] == pytest.approx(len(pcm) / 2 / RATE_HZ, abs=0.01)
    text = " ".join(texts(fast, final=True))
    assert n_errors(truth, text) <= 0.2 * len(truth.split()), text

    noises = [samples_of(path, tmp_path) for path in sorted(SPEECH.glob("**/noise*"))]
    assert noises
    drawn = np.random.default_rng(7).normal(0, 600, 20 * RATE_HZ).astype("<i2")
    for noise in (*noises, drawn):
        said, code = heard(stack.live_url, noise.tobytes())
        assert (texts(said), code) == ([], 1000)

    def held() -> int:
        worker = stack.workers[0].pid
        pids = (stack.live.pid, worker, *children_of(worker))
        return sum(status_bytes(pid, "VmRSS") for pid in pids)

    early: list[int] = []
    said, code = heard(stack.live_url, SECOND * 60, HOURS * 60, lambda: early.append(held()))

    assert (texts(said), code) == ([], 1000)
    assert said[-1]["duration"] == HOURS * 3600
    assert held() - early[0] < ALLOWED_BYTES
