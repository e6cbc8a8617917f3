"""Containers as strangers make them: when their sound is, in which track, in how many channels."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest
from media import Piece, Sound, sound_of, write_media
from numpy.typing import NDArray

from gateway.probe import Probe
from shared.errors import AudioUnreadable, InvalidRequest
from worker.audio import SAMPLE_RATE_HZ, AudioSource, decode, decode_channels

PROBE = Probe(timeout_s=60, memory_bytes=1_000_000_000, n_at_once=1)


def tone(length_s: float, hz: float = 440, height: float = 0.2) -> NDArray[np.float32]:
    time = np.arange(round(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (height * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def sounding_s(audio: AudioSource) -> list[tuple[float, float]]:
    """From when to when something sounds, in tenths of a second."""
    samples = np.abs(audio.read(0, audio.n_samples))
    n = -(-len(samples) // 1600)
    loud = np.pad(samples, (0, n * 1600 - len(samples))).reshape(n, 1600).max(axis=1) > 0.05
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    return [(float(a) / 10, float(b) / 10) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def pitch_hz(samples: NDArray[np.float32]) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    return float(spectrum.argmax() * SAMPLE_RATE_HZ / len(samples))


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


def pcm(channels: NDArray[np.float32], rate_hz: int, width: int, path: Path) -> Path:
    """A WAV of (n_channels, n_samples) as they are."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(len(channels))
        out.setsampwidth(width)
        out.setframerate(rate_hz)
        scaled = np.rint(channels.T * (127 if width == 1 else 32767))
        values = (scaled + 128).astype("u1") if width == 1 else scaled.astype("<i2")
        out.writeframes(values.tobytes())
    return path


@pytest.mark.parametrize("n_channels", [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 16, 32])
@pytest.mark.parametrize("speaks", ["first", "last"])
def test_one_microphone_of_any_number_is_heard(
    tmp_path: Path, n_channels: int, speaks: str
) -> None:
    channels = np.zeros((n_channels, 32_000), np.float32)
    channels[0 if speaks == "first" else -1] = tone(2, height=0.5)
    path = pcm(channels, 16_000, 2, tmp_path / "a.wav")

    audio = decode(path, tmp_path / "audio.pcm")

    samples = audio.read(0, audio.n_samples)
    assert audio.duration_s == 2.0
    assert pitch_hz(samples) == pytest.approx(440, abs=2)
    assert np.abs(samples).max() > 0.01
    assert PROBE(path).track().n_channels == n_channels


@pytest.mark.parametrize("layout", ["5.1", "7.1"])
@pytest.mark.parametrize("speaks", [0, 2, 4])
def test_of_loudspeakers_around_each_is_heard(tmp_path: Path, layout: str, speaks: int) -> None:
    n_channels = av.AudioLayout(layout).nb_channels
    channels = np.zeros((n_channels, 32_000), np.float32)
    channels[speaks] = tone(2, height=0.5)
    sound = Sound((Piece(channels),), codec="flac", layout=layout)
    path = write_media(tmp_path / "a.mkv", [sound])

    audio = decode(path, tmp_path / "audio.pcm")
    apart = decode_channels(path, tmp_path / "audio.pcm")

    assert pitch_hz(audio.read(0, audio.n_samples)) == pytest.approx(440, abs=2)
    heard = [np.abs(each.read(8000, 24_000)).max() > 0.3 for each in apart]
    assert heard == [n == speaks for n in range(n_channels)]


@pytest.mark.parametrize("rate_hz", [7350, 8000, 11_025, 22_255, 37_800, 96_000, 192_000])
@pytest.mark.parametrize("width", [1, 2])
def test_odd_rates_and_8_bits_keep_pitch_and_length(
    tmp_path: Path, rate_hz: int, width: int
) -> None:
    time = np.arange(2 * rate_hz) / rate_hz
    samples = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)

    audio = decode(pcm(samples[None], rate_hz, width, tmp_path / "a.wav"), tmp_path / "audio.pcm")

    assert audio.duration_s == pytest.approx(2.0, abs=0.01)
    assert pitch_hz(audio.read(0, audio.n_samples)) == pytest.approx(440, abs=2)


def test_a_recording_of_no_samples_is_refused(tmp_path: Path) -> None:
    path = pcm(np.zeros((1, 0), np.float32), 16_000, 2, tmp_path / "a.wav")

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


def test_a_picture_of_the_cover_delays_nothing(tmp_path: Path) -> None:
    path = with_cover(tmp_path / "a.mp3")
    with av.open(str(path)) as container:
        assert len(container.streams) == 2

    audio = decode(path, tmp_path / "audio.pcm")

    assert audio.duration_s == pytest.approx(3, abs=0.06)
    assert PROBE(path).duration_s == pytest.approx(3, abs=0.1)


@pytest.mark.parametrize("layout", ["mono", "stereo"])
@pytest.mark.parametrize("kind", ["s16", "flt"])
def test_a_channel_is_what_it_is_when_sent_alone_to_the_last_bit(
    tmp_path: Path, layout: str, kind: str
) -> None:
    height = {"s16": 0.3, "flt": 0.002}[kind]  # the latter is raised
    codec = {"s16": "pcm_s16le", "flt": "pcm_f32le"}[kind]
    # Long and short tones, as loud and soft as speech is.
    swell = np.tile(np.repeat([1.0, 0.02], 4000), 12).astype(np.float32)
    channels = np.stack([tone(6, 440, height) * swell, tone(6, 660, height / 3) * swell])
    channels = channels[: 1 if layout == "mono" else 2]

    def written(name: str, some: NDArray[np.float32], layout: str) -> Path:
        sound = Sound((Piece(some),), codec=codec, layout=layout, rate_hz=44_100)
        return write_media(tmp_path / name, [sound])

    together = written("both.wav", channels, layout)
    apart = decode_channels(together, tmp_path / "audio.pcm")

    for n, channel in enumerate(apart):
        # The very samples of the file, not resampled once more.
        with av.open(str(together)) as container:
            frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        samples = np.concatenate(frames, axis=1).reshape(-1, len(channels))[:, n]
        alone = tmp_path / f"{n}.wav"
        with av.open(str(alone), "w") as out:
            stream = out.add_stream(codec, rate=44_100, layout="mono")
            frame = av.AudioFrame.from_ndarray(samples[None].copy(), format=kind, layout="mono")
            frame.sample_rate = 44_100
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        decode(alone, tmp_path / "alone.pcm")
        assert channel.path.read_bytes() == (tmp_path / "alone.pcm").read_bytes()
    assert len(apart) == len(channels)


def test_more_channels_than_may_be_are_refused(tmp_path: Path) -> None:
    path = pcm(np.zeros((9, 1600), np.float32), 16_000, 2, tmp_path / "a.wav")

    with pytest.raises(InvalidRequest, match="has 9 channels; multichannel=true takes 8 at most"):
        decode_channels(path, tmp_path / "audio.pcm")
