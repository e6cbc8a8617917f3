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
from texts import spoken_text, word_errors

from shared.settings import CHECKOUT
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import decode

pytestmark = pytest.mark.main_job

DEADLINE_S = 240
CONVERSATION = CHECKOUT / "samples" / "conversation.flac"
PHRASES = CHECKOUT / "samples" / "demo.wav"
SAID = spoken_text(CONVERSATION.with_suffix(".txt"))
TURNS = CONVERSATION.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
OF_PHRASES = {"LONGHAND_DEFAULT_MODEL": "demo"}
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def sample_text() -> str:
    return PHRASES.with_suffix(".txt").read_text().strip()


@pytest.fixture
def unreachable(tmp_path: Path, demo_model: Path) -> dict[str, str]:
    """Variables of a machine that has no models and cannot fetch any."""
    sources = ("HF_ENDPOINT", "PIP_INDEX_URL", "UV_DEFAULT_INDEX", "https_proxy", "HTTPS_PROXY")
    return dict.fromkeys(sources, NOWHERE) | {"LONGHAND_MODELS_DIR": str(tmp_path / "models")}


def start(directory: Path, *command: str, **variables: str) -> subprocess.Popen[str]:
    """Start a demo that keeps its files in `directory`."""
    return subprocess.Popen(
        command,
        cwd=CHECKOUT,
        env=_outside_make() | variables | {"TMPDIR": str(directory)},
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


def cut(audio: Path, end_s: float, to: Path) -> Path:
    """Write the beginning of a recording as WAV."""
    decode(audio, to.with_suffix(".pcm"))
    samples = to.with_suffix(".pcm").read_bytes()[: 2 * int(end_s * SAMPLE_RATE_HZ)]
    with wave.open(str(to), "wb") as out:
        out.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", "NONE"))
        out.writeframes(samples)
    return to


def repeat(audio: Path, n_times: int, to: Path) -> Path:
    """Write `audio` many times over into one file."""
    with wave.open(str(audio)) as source, wave.open(str(to), "wb") as out:
        out.setparams(source.getparams())
        samples = source.readframes(source.getnframes())
        for _ in range(n_times):
            out.writeframes(samples)
    return to


def other_backend() -> str:
    """What `CT2_USE_MKL` makes CTranslate2 compute with what it would not have chosen itself."""
    cpu = Path("/proc/cpuinfo").read_text()
    return "0" if "GenuineIntel" in cpu else "1"


def test_make_demo_prints_who_says_what_in_the_sample_and_nothing_else(
    short_dir, real_models, real_diarizer
):
    status, out, err = finish(start(short_dir, "make", "demo"))

    assert status == 0, err
    lines = [line.partition(": ") for line in out.splitlines()]
    assert word_errors(SAID, " ".join(said for _, _, said in lines)) == 0, out
    told = [line.split()[2] for line in TURNS]
    people = {"Ann": "[SPEAKER_00]", "Ben": "[SPEAKER_01]"}
    assert [speaker for speaker, _, _ in lines] == [people[name] for name in told], out
    assert "uploading conversation.flac\n" in err
    assert "phrase-book" not in err
    assert processes_of(short_dir) == []
    assert list(short_dir.iterdir()) == []


def test_the_other_backend_writes_the_same_of_a_file_of_any_name_in_a_format(
    short_dir, tmp_path, real_models
):
    audio = cut(CONVERSATION, 10.6, tmp_path / "a $HOME 'n \"录音.wav")
    said = " ".join(line.split(maxsplit=3)[3] for line in TURNS[:2])

    program = start(
        short_dir, "make", "demo", f"AUDIO={audio}", "FORMAT=srt", CT2_USE_MKL=other_backend()
    )

    status, out, err = finish(program)
    assert status == 0, err
    cues = list(srt.parse(out))
    assert word_errors(said, " ".join(cue.content for cue in cues)) == 0, out
    assert all(0 <= cue.start.total_seconds() < cue.end.total_seconds() for cue in cues)


def test_without_a_source_of_models_it_says_so_and_the_phrase_book_stands_in(
    short_dir, unreachable, sample_text
):
    program = start(short_dir, "make", "demo", CT2_USE_MKL=other_backend(), **unreachable)

    status, out, err = finish(program)

    assert (status, out) == (0, f"{sample_text}\n"), err
    [said] = [line for line in err.splitlines() if "phrase-book" in line]
    assert said.startswith("the model base could not be fetched (the Hub: ")
    assert said.endswith("no real speech")
    assert "uploading demo.wav\n" in err


def test_what_is_no_audio_is_refused_in_the_gateways_words(short_dir):
    program = start(short_dir, sys.executable, "-m", "cli", "demo", "Makefile", **OF_PHRASES)

    status, out, err = finish(program)

    assert (status, out) == (1, "")
    assert "Error: " in err and "audio" in err.rpartition("Error: ")[2]
    assert processes_of(short_dir) == []


@pytest.mark.parametrize(
    "command", [[sys.executable, "-m", "cli", "demo"], ["make", "demo"]], ids=["cli", "make"]
)
def test_ctrl_c_midway_ends_everything(short_dir, tmp_path, demo_model, command):
    audio = repeat(PHRASES, 100, tmp_path / "long.wav")
    argument = f"AUDIO={audio}" if command[0] == "make" else str(audio)
    program = start(short_dir, *command, argument, **OF_PHRASES)
    assert program.stderr is not None
    said = next((line for line in program.stderr if line.startswith("transcribe")), None)
    assert said is not None, "it ended before it transcribed"

    os.killpg(program.pid, signal.SIGINT)

    status, out, _ = finish(program)
    assert status in (128 + signal.SIGINT, -signal.SIGINT)  # make ends by the signal itself
    assert out == ""
    assert processes_of(short_dir) == []
    assert list(short_dir.iterdir()) == []
