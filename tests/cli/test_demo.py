"""`make demo` as a stranger meets it: real audio in, its true transcript out, nothing left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import wave
from pathlib import Path

import pytest
import srt
from leftovers import processes_of

from shared.settings import CHECKOUT

pytestmark = [pytest.mark.main_job, pytest.mark.usefixtures("demo_model")]

DEADLINE_S = 120
SAMPLE = CHECKOUT / "samples" / "demo.wav"


@pytest.fixture
def sample_text() -> str:
    return (CHECKOUT / "samples" / "demo.txt").read_text().strip()


def start(directory: Path, *command: str) -> subprocess.Popen[str]:
    """Start a demo that keeps its files in `directory`."""
    return subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=_outside_make() | {"TMPDIR": str(directory)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _outside_make() -> dict[str, str]:
    # A make within `make test` would say on standard output which directory it enters.
    return {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}


def finish(program: subprocess.Popen[str]) -> tuple[int, str, str]:
    try:
        out, err = program.communicate(timeout=DEADLINE_S)
    finally:
        program.kill()
    return program.returncode, out, err


def repeat(audio: Path, n_times: int, to: Path) -> Path:
    """Write `audio` many times over into one file."""
    with wave.open(str(audio)) as source, wave.open(str(to), "wb") as out:
        out.setparams(source.getparams())
        samples = source.readframes(source.getnframes())
        for _ in range(n_times):
            out.writeframes(samples)
    return to


def test_make_demo_prints_the_samples_transcript_and_nothing_else(short_dir, sample_text):
    status, out, err = finish(start(short_dir, "make", "demo"))

    assert (status, out) == (0, f"{sample_text}\n"), err
    assert "uploading demo.wav\n" in err
    assert processes_of(short_dir) == []
    assert list(short_dir.iterdir()) == []


def test_make_demo_takes_a_file_of_any_name_and_a_format(short_dir, tmp_path, sample_text):
    audio = tmp_path / "a $HOME 'n \"录音.wav"
    audio.write_bytes(SAMPLE.read_bytes())

    status, out, err = finish(start(short_dir, "make", "demo", f"AUDIO={audio}", "FORMAT=srt"))

    assert status == 0, err
    cues = list(srt.parse(out))
    assert " ".join(" ".join(cue.content for cue in cues).split()) == " ".join(sample_text.split())
    assert all(0 <= cue.start.total_seconds() < cue.end.total_seconds() for cue in cues)


def test_what_is_no_audio_is_refused_in_the_gateways_words(short_dir):
    program = start(short_dir, sys.executable, "-m", "cli", "demo", "Makefile")

    status, out, err = finish(program)

    assert (status, out) == (1, "")
    assert "Error: " in err and "audio" in err.rpartition("Error: ")[2]
    assert processes_of(short_dir) == []


@pytest.mark.parametrize(
    "command", [[sys.executable, "-m", "cli", "demo"], ["make", "demo"]], ids=["cli", "make"]
)
def test_ctrl_c_midway_ends_everything(short_dir, tmp_path, command):
    audio = repeat(SAMPLE, 100, tmp_path / "long.wav")
    argument = f"AUDIO={audio}" if command[0] == "make" else str(audio)
    program = start(short_dir, *command, argument)
    assert program.stderr is not None
    said = next((line for line in program.stderr if line.startswith("transcribe")), None)
    assert said is not None, "it ended before it transcribed"

    os.killpg(program.pid, signal.SIGINT)

    status, out, _ = finish(program)
    assert status in (128 + signal.SIGINT, -signal.SIGINT)  # make ends by the signal itself
    assert out == ""
    assert processes_of(short_dir) == []
    assert list(short_dir.iterdir()) == []
