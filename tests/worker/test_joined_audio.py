"""Recordings that were put together: their kind of sound changes on the way."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import pytest

from worker.audio.source import decode

RATE_HZ = 44_100


def mp3(layout: str, seconds: float) -> bytes:
    """A tone as mp3."""
    n_channels = 1 if layout == "mono" else 2
    n_samples = int(seconds * RATE_HZ)
    tone = np.sin(np.arange(n_samples) * 2 * np.pi * 440 / RATE_HZ) * 8000
    samples = np.repeat(tone.astype(np.int16), n_channels).reshape(1, -1)
    out = io.BytesIO()
    with av.open(out, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=RATE_HZ, layout=layout)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
        frame.sample_rate = RATE_HZ
        resampler = av.AudioResampler("s16p", layout, RATE_HZ, frame_size=1152)
        for piece in (*resampler.resample(frame), *resampler.resample(None), None):
            container.mux(stream.encode(piece))
    return out.getvalue()


@pytest.mark.parametrize("layouts", [("mono", "stereo"), ("stereo", "mono", "stereo")])
def test_mono_and_stereo_put_together_are_decoded_to_the_end(
    tmp_path: Path, layouts: tuple[str, ...]
) -> None:
    path = tmp_path / "joined.mp3"
    path.write_bytes(b"".join(mp3(layout, 2.0) for layout in layouts))

    audio = decode(path, tmp_path / "audio.pcm")

    assert audio.duration_s == pytest.approx(2.0 * len(layouts), abs=0.25)
    last_second = audio.read(audio.n_samples - 16_000, audio.n_samples - 4_000)
    assert np.sqrt(np.mean(last_second**2)) > 0.1
