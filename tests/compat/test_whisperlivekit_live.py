"""WhisperLiveKit's own test client, unchanged, on real speech and `tiny.en`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from environments import run_script
from real_speech import TWO_TURNS_S, n_errors, text_of, turns_of
from sites import Site

MOST_WRONG = 0.15


@pytest.mark.promise("S1-40", "S1-44", "S1-53", "S1-62")
@pytest.mark.parametrize("mode", [[], ["--diff"]], ids=["full", "diff"])
@pytest.mark.parametrize("audio", ["container", "raw"])
def test_its_test_client_hears_what_was_said(
    mode: list[str],
    audio: str,
    live_site: Site,
    environment: Callable[[str], Path],
    two_turns: Path,
    tmp_path: Path,
) -> None:
    python = environment("whisperlivekit")
    packages = next(python.parent.parent.glob("lib/python*/site-packages"))
    # Beside its package the file would import other modules of that; these need torch.
    shutil.copy(packages / "whisperlivekit" / "test_client.py", tmp_path)
    ffmpeg = next((packages / "imageio_ffmpeg" / "binaries").glob("ffmpeg-*"))
    (tmp_path / "ffmpeg").symlink_to(ffmpeg)
    url = live_site.stack.live_url.replace("http", "ws", 1)
    said = run_script(
        python, tmp_path / "test_client.py", two_turns, "--json", "--speed", 2, *mode,
        "--url", f"{url}/asr?pcm_input={str(audio == 'raw').lower()}&language=en",
        cwd=tmp_path, env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    states = [json.loads(line) for line in said.splitlines()]
    truth = text_of(turn for turn in turns_of("conversation") if turn.end <= TWO_TURNS_S)
    text = " ".join(line["text"] for line in states[-1]["lines"] if line["text"])

    assert n_errors(truth, text) <= MOST_WRONG * len(truth.split()), text
    assert states[-1]["buffer_transcription"] == ""
    assert any(state["buffer_transcription"] for state in states)
    for before, after in zip(states, states[1:], strict=False):
        assert after["lines"][: len(before["lines"])] == before["lines"]
