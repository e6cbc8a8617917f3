"""What `bench.live.beside` makes of what it measured, and the long file that it writes."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from bench.live.beside import Phase, percentile, report, write_opus


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(1, 11)]

    assert [percentile(values, share) for share in (0.1, 0.5, 0.9, 1.0)] == [1, 5, 9, 10]
    assert percentile([2.0], 0.9) == 2


@pytest.mark.parametrize(
    ("lags", "progress", "holds"),
    [([1.0, 1.4], 0.2, True), ([1.0, 1.6], 0.2, False), ([1.0, 1.0], 0.0, False)],
)
def test_the_bars_hold_if_words_do_not_wait_and_the_file_goes_on(
    lags: list[float], progress: float, holds: bool
) -> None:
    text, found = report([Phase("alone", [1.0, 1.0]), Phase("beside", lags, progress)])

    assert found is holds
    assert f"| beside | 2 | {sum(lags) / 2:.2f} | {max(lags):.2f} |" in text


def test_a_long_file_is_the_speech_again_and_again(tmp_path: Path) -> None:
    tone = (9000 * np.sin(np.arange(32_000) / 9)).astype("<i2")
    write_opus(tmp_path / "long.ogg", tone.tobytes(), 60.0)

    with av.open(str(tmp_path / "long.ogg")) as file:
        frames = [frame.to_ndarray() for frame in file.decode(audio=0)]
        rate_hz = file.streams.audio[0].rate
    samples = np.concatenate(frames, axis=1)[0]
    assert abs(len(samples) / rate_hz - 60) < 3
    assert np.abs(samples[-rate_hz // 2 :]).max() > 0.1
