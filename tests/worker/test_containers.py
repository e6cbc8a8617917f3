"""Containers as strangers make them: when their sound is, in which track, in how many channels."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest
from media import Piece, Sound, pitch_hz, sound_of, tone, write_media

from gateway.reading.probe import Probe
from shared.errors import AudioUnreadable, InvalidRequest
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource, decode

PROBE = Probe(timeout_s=60, memory_bytes=1_000_000_000, n_at_once=1)


def sounding_s(audio: AudioSource) -> list[tuple[float, float]]:
    """From when to when something sounds, in tenths of a second."""
    samples = np.abs(audio.read(0, audio.n_samples))
    n = -(-len(samples) // 1600)
    loud = np.pad(samples, (0, n * 1600 - len(samples))).reshape(n, 1600).max(axis=1) > 0.05
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    return [(float(a) / 10, float(b) / 10) for a, b in zip(edges[::2], edges[1::2], strict=True)]


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "aac"),
        ("a.mov", "pcm_s16le"),
        ("a.mkv", "libopus"),
        ("a.mkv", "libmp3lame"),
        ("a.ts", "aac"),
    ],
)
def test_sound_that_begins_after_its_pictures_does(tmp_path: Path, name: str, codec: str) -> None:
    path = write_media(tmp_path / name, [sound_of(tone(3), 5.0, codec=codec)], pictures_s=9)

    audio = decode(path, tmp_path / "audio.pcm")

    [(start, end)] = sounding_s(audio)
    assert (start, end) == (pytest.approx(5, abs=0.11), pytest.approx(8, abs=0.11))
    assert audio.duration_s == pytest.approx(8, abs=0.1)
    assert PROBE(path).duration_s == pytest.approx(audio.duration_s, abs=0.1)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.webm", "libopus"), ("a.mkv", "flac"), ("a.mp4", "aac"), ("a.ts", "aac")]
)
def test_a_hole_is_as_long_as_it_was(tmp_path: Path, name: str, codec: str) -> None:
    holed = Sound((Piece(tone(3)[None]), Piece(tone(3)[None], 23.0)), codec=codec)
    path = write_media(tmp_path / name, [holed])

    audio = decode(path, tmp_path / "audio.pcm")

    first, second = sounding_s(audio)
    assert first[0] <= 0.1 and first[1] == pytest.approx(3, abs=0.11)
    assert second == (pytest.approx(23, abs=0.11), pytest.approx(26, abs=0.11))
    assert PROBE(path).duration_s == pytest.approx(audio.duration_s, abs=0.1)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.ts", "aac"), ("a.ogg", "libopus"), ("a.m4a", "aac"), ("a.mkv", "flac")]
)
def test_a_stream_that_ran_for_long_begins_at_nought(tmp_path: Path, name: str, codec: str) -> None:
    path = write_media(tmp_path / name, [sound_of(tone(3), 7200.0, codec=codec)])

    audio = decode(path, tmp_path / "audio.pcm")

    assert audio.duration_s == pytest.approx(3, abs=0.1)
    assert PROBE(path).duration_s == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("starts_s", [(0, 200_000), (9, 0), (0, 50_000, 3)])
def test_a_clock_that_is_broken_neither_loses_sound_nor_makes_hours_of_silence(
    tmp_path: Path, starts_s: tuple[float, ...]
) -> None:
    pieces = [
        write_media(tmp_path / f"{n}.ts", [sound_of(tone(3, codec_hz), start)]).read_bytes()
        for n, (start, codec_hz) in enumerate(zip(starts_s, (440, 660, 880), strict=False))
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(pieces))

    audio = decode(path, tmp_path / "audio.pcm")

    assert audio.duration_s == pytest.approx(3 * len(starts_s), abs=0.3)
    assert sum(b - a for a, b in sounding_s(audio)) == pytest.approx(3 * len(starts_s), abs=0.3)
    assert PROBE(path).duration_s == pytest.approx(audio.duration_s, abs=0.1)


def test_a_long_webm_of_rounded_times_gets_no_silence(tmp_path: Path) -> None:
    steady = tone(600)
    path = write_media(tmp_path / "a.webm", [sound_of(steady, codec="libopus", rate_hz=48_000)])

    audio = decode(path, tmp_path / "audio.pcm")

    assert audio.duration_s == pytest.approx(600, abs=0.05)
    [(start, end)] = sounding_s(audio)
    assert (start, end) == (0.0, pytest.approx(600, abs=0.1))
    last = audio.read(audio.n_samples - 9600, audio.n_samples - 1600)
    assert np.abs(last).max() < 0.25  # where a piece was put in, the tone would jump


def test_the_track_marked_default_is_taken_and_any_may_be_chosen(tmp_path: Path) -> None:
    sounds = [
        sound_of(tone(1, 400), codec="libopus", is_default=False),
        sound_of(tone(2, 600), codec="libopus", is_default=True),
        sound_of(tone(3, 800), codec="libopus", is_default=False),
    ]
    path = write_media(tmp_path / "a.mkv", sounds)

    def heard(track: int | None) -> tuple[float, float]:
        audio = decode(path, tmp_path / "audio.pcm", track=track)
        return round(pitch_hz(audio.read(0, audio.n_samples)), -1), round(audio.duration_s, 1)

    facts = PROBE(path)
    assert [heard(track) for track in (None, 1, 2, 3)] == [
        (600, 2.0), (400, 1.0), (600, 2.0), (800, 3.0),
    ]  # fmt: skip
    assert [round(facts.track(n).duration_s, 1) for n in (None, 1, 2, 3)] == [2, 1, 2, 3]
    message = "audio_track is 4; the recording has 3 audio tracks"
    with pytest.raises(InvalidRequest, match=message):
        heard(4)
    with pytest.raises(InvalidRequest, match=message):
        facts.track(4)


@pytest.mark.parametrize("n_silent", [1, 2])
def test_silent_tracks_are_passed_over_for_one_that_sounds(tmp_path: Path, n_silent: int) -> None:
    silent = [sound_of(tone(4) * 0) for _ in range(n_silent)]
    path = write_media(tmp_path / "a.mp4", [*silent, sound_of(tone(2))])

    audio = decode(path, tmp_path / "audio.pcm")

    assert audio.duration_s == pytest.approx(2, abs=0.1)
    assert len(sounding_s(audio)) == 1
    assert PROBE(path).chosen == n_silent
    assert decode(path, tmp_path / "audio.pcm", track=1).duration_s == pytest.approx(4, abs=0.1)


def test_where_all_tracks_are_silent_the_first_is_taken(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", [sound_of(tone(2) * 0), sound_of(tone(3) * 0)])

    audio = decode(path, tmp_path / "audio.pcm")

    assert audio.duration_s == pytest.approx(2, abs=0.1)
    assert PROBE(path).duration_s == pytest.approx(2, abs=0.1)


def test_a_track_that_nobody_can_decode_is_passed_over(tmp_path: Path) -> None:
    sounds = [sound_of(tone(1), codec="libmp3lame"), sound_of(tone(2), codec="libopus")]
    path = write_media(tmp_path / "a.mkv", sounds)
    path.write_bytes(path.read_bytes().replace(b"A_MPEG/L3", b"A_XPEG/L3"))

    assert decode(path, tmp_path / "audio.pcm").duration_s == pytest.approx(2, abs=0.1)
    assert PROBE(path).duration_s == pytest.approx(2, abs=0.1)
    with pytest.raises(AudioUnreadable, match="cannot be decoded"):
        decode(path, tmp_path / "audio.pcm", track=1)


def test_a_recording_of_no_samples_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)

    with pytest.raises(AudioUnreadable):
        decode(path, tmp_path / "audio.pcm")
    with pytest.raises(AudioUnreadable):
        PROBE(path)


def test_sound_that_ends_before_its_pictures_ends(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", [sound_of(tone(2))], pictures_s=9)

    assert decode(path, tmp_path / "audio.pcm").duration_s == pytest.approx(2, abs=0.1)
    assert PROBE(path).duration_s == pytest.approx(2, abs=0.1)


def with_cover(path: Path) -> Path:
    """An MP3 with a picture of its cover."""
    with av.open(str(path), "w") as out:
        sound = out.add_stream("libmp3lame", rate=44_100, layout="mono")
        cover = out.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 32, 32, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        grey = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), format="rgb24")
        for packet in (*cover.encode(grey), *cover.encode(None)):
            out.mux(packet)
        frame = av.AudioFrame.from_ndarray(tone(3)[None], format="flt", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        resampler = av.AudioResampler("fltp", "mono", 44_100, frame_size=1152)
        for some in (*resampler.resample(frame), *resampler.resample(None)):
            out.mux(sound.encode(some))
        out.mux(sound.encode(None))
    return path


def test_an_edit_list_cuts_what_an_encoder_put_before_the_sound(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.m4a", [sound_of(tone(3), codec="aac")])
    assert b"elst" in path.read_bytes()

    audio = decode(path, tmp_path / "audio.pcm")

    [(start, end)] = sounding_s(audio)
    assert (start, end) == (0.0, pytest.approx(3, abs=0.11))
    assert PROBE(path).duration_s == pytest.approx(audio.duration_s, abs=0.1)


def test_a_picture_of_the_cover_delays_nothing(tmp_path: Path) -> None:
    path = with_cover(tmp_path / "a.mp3")
    with av.open(str(path)) as container:
        assert len(container.streams) == 2

    audio = decode(path, tmp_path / "audio.pcm")

    assert audio.duration_s == pytest.approx(3, abs=0.06)
    assert PROBE(path).duration_s == pytest.approx(3, abs=0.1)
