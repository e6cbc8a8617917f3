"""WhisperLive's own client, unchanged, on real speech and `tiny.en`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from environments import run_script
from real_speech import TWO_TURNS_S, n_errors, samples_of, text_of, turns_of
from sites import Site
from waiting import wait_until
from websockets.sync.client import connect

PROGRAM = """
import json, sys
from whisper_live.client import TranscriptionClient

host, port, path, told = sys.argv[1:]
heard = []
client = TranscriptionClient(
    host, int(port), lang="en", model="tiny.en", mute_audio_playback=True,
    log_transcription=False, output_transcription_path=told,
    transcription_callback=lambda text, segments: heard.append(segments),
)
client(path)
print("RESULT", json.dumps([client.client.transcript, heard]))
"""

PYAUDIO = """
paInt16 = 8


class PyAudio:
    def open(self, **_settings):
        return None

    def terminate(self):
        pass
"""
"""Stands in for the library that plays sound, which cannot be installed without a sound card's."""

MOST_WRONG = 0.15


@pytest.mark.promise("S0-01", "C-25")
@pytest.mark.parametrize("version", ["whisper-live-9", "whisper-live-10"])
def test_its_client_hears_what_was_said(
    version: str,
    live_site: Site,
    environment: Callable[[str], Path],
    two_turns: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "pyaudio.py").write_text(PYAUDIO)
    host, _, port = live_site.stack.live_url.removeprefix("http://").partition(":")
    subtitles = tmp_path / "heard.srt"
    said = run_script(
        environment(version), PROGRAM, host, port, two_turns, subtitles,
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    transcript, heard = json.loads(said.rpartition("RESULT ")[2])
    truth = text_of(turn for turn in turns_of("conversation") if turn.end <= TWO_TURNS_S)
    text = " ".join(segment["text"].strip() for segment in transcript)

    assert n_errors(truth, text) <= MOST_WRONG * len(truth.split()), text
    assert all(segment["completed"] for segment in transcript)
    assert any(not segment["completed"] for shown in heard for segment in shown)
    assert subtitles.read_text().strip()


@pytest.mark.promise("S0-06")
def test_a_file_and_a_live_session_share_one_model(
    live_site: Site, two_turns: Path, tmp_path: Path
) -> None:
    job = live_site.upload(two_turns)
    pcm = samples_of(two_turns, tmp_path)
    url = live_site.stack.live_url.replace("http", "ws", 1)
    with connect(f"{url}/") as socket:
        hello = {"uid": "u", "language": "en", "task": "transcribe", "model": "tiny.en"}
        socket.send(json.dumps(hello | {"audio_format": "int16"}))
        socket.send(pcm.tobytes())
        socket.send(b"END_OF_AUDIO")
        said = [json.loads(message) for message in socket]
    text = live_site.transcript(job).text

    heard = " ".join(segment["text"].strip() for segment in said[-1]["segments"])
    assert n_errors(text, heard) <= MOST_WRONG * len(text.split()), heard
    wait_until(lambda: live_site.workers()[0].n_batches > 0, 30, "the worker's record")
    [worker] = live_site.workers()
    assert (worker.n_model_loads, worker.loaded) == (1, ("tiny.en",))
