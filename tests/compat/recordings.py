"""The files that the older systems' examples send, and what is heard in them here: fixtures."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import pytest
from sites import Site
from spoken import Clip, transcribe_here

from shared.request import TranscriptionRequest
from shared.transcript import Transcript
from worker.processes.local import LocalModels

WAVS = ("audio.wav", "your-audio.wav")
MP3S = ("audio.mp3", "your-audio.mp3", "meeting.mp3")
_RUN_S = 240

Hear = Callable[..., str]
Curl = Callable[[str, str], str]


@dataclass(frozen=True)
class Recordings:
    """A folder with a file of every name that the examples send."""

    folder: Path

    def __getitem__(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory, clip: Clip) -> Recordings:
    """One recording under all those names, as WAV and as MP3."""
    folder = tmp_path_factory.mktemp("recordings")
    for name in WAVS:
        shutil.copyfile(clip.path, folder / name)
    _write_mp3(clip.path, folder / MP3S[0])
    for name in MP3S[1:]:
        shutil.copyfile(folder / MP3S[0], folder / name)
    return Recordings(folder)


def _write_mp3(source: Path, path: Path) -> None:
    with av.open(str(source)) as wav, av.open(str(path), "w") as mp3:
        stream = mp3.add_stream("libmp3lame", rate=16_000)
        for frame in wav.decode(audio=0):
            mp3.mux(stream.encode(frame))
        mp3.mux(stream.encode(None))


@pytest.fixture(scope="session")
def hear(models: LocalModels, recordings: Recordings) -> Hear:
    """A function: the words that the pipeline, in this process, hears in a file."""
    heard: dict[tuple[str, str], str] = {}

    def ask(name: str, **options: str) -> str:
        key = name, repr(sorted(options.items()))
        if key not in heard:
            request = TranscriptionRequest(chinese="none", **options)  # type: ignore[arg-type]
            found: Transcript = transcribe_here(models, recordings[name], request)
            heard[key] = found.text.strip()
        return heard[key]

    return ask


@pytest.fixture
def curl(compat_site: Site, recordings: Recordings) -> Curl:
    """A function that runs an example's command with our address for its own; what it printed."""

    def run(command: str, address: str) -> str:
        assert address in command
        ended = subprocess.run(
            ["/bin/bash", "-c", command.replace(address, compat_site.stack.url)],
            cwd=recordings.folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "API_KEY": "dummy"},
            timeout=_RUN_S,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run
