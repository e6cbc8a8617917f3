"""Decoding: any container, broken ones too, to samples that can be read by span."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from spoken import draw_utterances, write_wav

from models.training.demo_model.corpus import through_codec
from models.training.demo_model.voices import SAMPLE_RATE_HZ
from shared.errors import AudioUnreadable
from worker.audio.source import AudioSource, decode


def test_a_wav_is_read_back_sample_by_sample(tmp_path: Path) -> None:
    samples = np.arange(-32768, 32767, 3, dtype=np.int16)

    audio = decode(write_wav(tmp_path / "a.wav", samples), tmp_path / "a.pcm")

    assert audio.n_samples == len(samples)
    assert audio.duration_s == len(samples) / SAMPLE_RATE_HZ
    assert np.array_equal(audio.read(100, 200), samples[100:200].astype(np.float32) / 32768)
    assert audio.read(0, 10).dtype == np.float32
    assert len(audio.read(len(samples) - 5, len(samples) + 5)) == 5


@pytest.mark.parametrize(
    ("suffix", "codec", "container"), [("mp3", "libmp3lame", "mp3"), ("ogg", "libopus", "ogg")]
)
def test_a_compressed_file_keeps_its_length(
    tmp_path: Path, suffix: str, codec: str, container: str
) -> None:
    import av

    [said] = draw_utterances(1, seed=3)
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w", format=container) as writer:
        stream = writer.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(said.waveform[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=48_000, frame_size=stream.frame_size
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            writer.mux(stream.encode(piece))
        writer.mux(stream.encode(None))

    audio = decode(path, tmp_path / "a.pcm")

    assert abs(audio.n_samples - len(said.waveform)) < 0.2 * SAMPLE_RATE_HZ
    heard = audio.read(0, audio.n_samples)
    assert 0.5 < np.abs(heard).max() / (np.abs(said.waveform).max() / 32768) < 1.5


def test_a_file_cut_off_in_the_middle_gives_what_is_there(tmp_path: Path) -> None:
    samples = (np.sin(np.arange(10 * SAMPLE_RATE_HZ) / 20) * 8000).astype(np.int16)
    path = write_wav(tmp_path / "a.wav", samples)
    path.write_bytes(path.read_bytes()[: 44 + 3 * SAMPLE_RATE_HZ * 2])

    audio = decode(path, tmp_path / "a.pcm")

    assert audio.n_samples == pytest.approx(3 * SAMPLE_RATE_HZ, abs=100)


@pytest.mark.parametrize("content", [b"", b"not audio at all" * 100, b"\x89PNG\r\n\x1a\n" * 99])
def test_what_is_not_audio_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(content)

    with pytest.raises(AudioUnreadable):
        decode(path, tmp_path / "a.pcm")


def test_decoding_tells_how_far_it_is(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", np.zeros(300 * SAMPLE_RATE_HZ, np.int16))
    told: list[float] = []

    decode(path, tmp_path / "a.pcm", report=told.append)

    assert len(told) > 3
    assert told == sorted(told)
    assert 0 <= told[0] < 0.1 and 0.5 < told[-1] <= 1


def test_a_codec_at_24_kbit_keeps_the_length_of_a_clip() -> None:
    [said] = draw_utterances(1, seed=4)

    coded = through_codec(said.waveform, "ogg", "libopus", 24_000)

    assert len(coded) == len(said.waveform)
    assert np.corrcoef(coded, said.waveform)[0, 1] > 0.5


def test_an_empty_source_reads_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.pcm"
    path.touch()

    assert len(AudioSource(path, 0).read(0, 100)) == 0
