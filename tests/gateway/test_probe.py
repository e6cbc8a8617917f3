"""Looking into an upload is done by a process that may fail alone."""

from __future__ import annotations

import os
from pathlib import Path

import clips
import pytest

from gateway.reading.probe import Probe
from shared.errors import AudioUnreadable


def make_probe(**changed: float) -> Probe:
    """A probe with the usual limits, but for those named."""
    limits = {"timeout_s": 60.0, "memory_bytes": 1_000_000_000, "n_at_once": 1} | changed
    return Probe(
        timeout_s=limits["timeout_s"],
        memory_bytes=int(limits["memory_bytes"]),
        n_at_once=int(limits["n_at_once"]),
    )


def write(path: Path, content: bytes) -> Path:
    """A file with some content."""
    path.write_bytes(content)
    return path


def test_audio_is_described(tmp_path: Path) -> None:
    facts = make_probe()(write(tmp_path / "audio", clips.wav(2.5)))

    assert (facts.duration_s, facts.container, facts.codec) == (2.5, "wav", "pcm_s16le")


def test_an_mp3_whose_tags_are_in_another_encoding_is_read(tmp_path: Path) -> None:
    tag = b"TAG" + "会议录音".encode("gbk").ljust(30, b"\0") + bytes(95)

    facts = make_probe()(write(tmp_path / "audio", clips.encoded("mp3", "libmp3lame") + tag))

    assert facts.duration_s == pytest.approx(1.0, abs=0.15)


def test_audio_of_an_unknown_length_is_measured(tmp_path: Path) -> None:
    streamed = bytearray(clips.wav(2.0))
    streamed[4:8] = streamed[40:44] = b"\xff\xff\xff\xff"

    assert make_probe()(write(tmp_path / "audio", bytes(streamed))).duration_s == 2.0


def test_audio_that_begins_in_the_middle_of_a_frame_is_read(tmp_path: Path) -> None:
    cut = clips.encoded("mp3", "libmp3lame", 3.0)[1000:]

    facts = make_probe()(write(tmp_path / "audio", cut))

    assert facts.duration_s == pytest.approx(2.75, abs=0.3)


def test_looking_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    endless = tmp_path / "audio"
    os.mkfifo(endless)

    with pytest.raises(AudioUnreadable, match="LONGHAND_PROBE_TIMEOUT_S"):
        make_probe(timeout_s=0.5)(endless)


def test_looking_that_takes_too_much_memory_ends_the_child_alone(tmp_path: Path) -> None:
    audio = write(tmp_path / "audio", clips.wav(1.0))

    with pytest.raises(AudioUnreadable):
        make_probe(memory_bytes=20_000_000)(audio)


def test_a_turn_is_given_back_when_looking_fails(tmp_path: Path) -> None:
    probe = make_probe(n_at_once=1)
    text = write(tmp_path / "text", clips.TEXT)
    for _ in range(2):
        with pytest.raises(AudioUnreadable):
            probe(text)

    assert probe(write(tmp_path / "audio", clips.wav(1.0))).duration_s == 1.0
