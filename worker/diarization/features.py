"""Log energies of mel bands, computed as in Kaldi, with numpy."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from worker.audio.constants import SAMPLE_RATE_HZ

N_MELS = 80
WINDOW = 400
HOP = 160
"""Samples of a frame, and from one frame to the next: 25 and 10 ms."""

_FFT = 512
_EMPHASIS = np.float32(0.97)
_LOW_HZ = 20.0


def filter_bank(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    The same as `torchaudio.compliance.kaldi.fbank` with 80 bands and no dither.

    Each frame: its mean removed, pre-emphasis, Povey window, power, mel bands, natural logarithm.
    All frames lie within the waveform.

    Args:
        waveform: (n_samples,) 16 kHz.

    Returns:
        (1 + (n_samples - 400) // 160, 80); no frames if the waveform is shorter than one.
    """
    if len(waveform) < WINDOW:
        return np.empty((0, N_MELS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(waveform, WINDOW)[::HOP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    frames = (frames - _EMPHASIS * before) * _povey_window()
    power = np.abs(np.fft.rfft(frames, _FFT)) ** 2  # (n, 257)
    energies = power.astype(np.float32) @ _mel_bands()
    found: NDArray[np.float32] = np.log(np.maximum(energies, np.finfo(np.float32).eps))
    return found


@cache
def _povey_window() -> NDArray[np.float32]:
    """Hann's window to the power of 0.85: it is like Hamming's, but goes to zero."""
    return (np.hanning(WINDOW) ** 0.85).astype(np.float32)


@cache
def _mel_bands() -> NDArray[np.float32]:
    """(257, 80): triangles of equal width in mel, from 20 Hz to half the sampling rate."""
    low, high = _mel(np.array(_LOW_HZ)), _mel(np.array(SAMPLE_RATE_HZ / 2))
    width = (high - low) / (N_MELS + 1)
    left = low + width * np.arange(N_MELS)
    bins = _mel(np.arange(_FFT // 2 + 1) * SAMPLE_RATE_HZ / _FFT)[:, None]
    up, down = (bins - left) / width, (left + 2 * width - bins) / width
    bands = np.maximum(0.0, np.minimum(up, down))
    bands[-1] = 0.0  # as in Kaldi, which leaves the last bin out
    return bands.astype(np.float32)


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1127.0 * np.log1p(hz / 700.0)
