"""Channels of every number and layout, at any rate and width of samples."""

from __future__ import annotations

import wave
from pathlib import Path

import av
import numpy as np
import pytest
from media import Piece, Sound, pitch_hz, tone, write_media
from numpy.typing import NDArray

from gateway.reading.probe import Probe
from shared.errors import InvalidRequest
from worker.audio.source import decode, decode_channels

pytestmark = pytest.mark.speech

PROBE = Probe(timeout_s=60, memory_bytes=1_000_000_000, n_at_once=1)


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
