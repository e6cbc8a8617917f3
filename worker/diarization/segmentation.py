"""
The segmentation network: who speaks when within ten seconds, by pyannote's segmentation-3.0.

It runs on onnxruntime. It knows at most three voices, two of them at once. The number of a voice
means nothing in the next chunk. Plaquet and Bredin, "Powerset multi-class cross entropy loss for
neural speaker diarization", Interspeech 2023; Bredin and Laurent, "End-to-end speaker segmentation
for overlap-aware resegmentation", Interspeech 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.diarization.onnx_graph import Graph

CHUNK_S = 10.0
CHUNK = round(CHUNK_S * SAMPLE_RATE_HZ)
"""Samples of a chunk; the network was trained on chunks of this length."""

STEP = 270
"""Samples from one frame to the next, about 17 ms."""

N_SPEAKERS = 3
"""The most voices within a chunk."""

WIDTH = 991
"""Samples that one frame covers."""

_N_LSTM = 4
_HIDDEN = 128
_LEAST_LOW_HZ = _LEAST_BAND_HZ = 50
_SLOPE = 0.01


class Segmentation:
    """The network. It gives a set of voices for each frame, so there is no threshold."""

    def __init__(self, weights: Mapping[str, NDArray[Any]], threads: int) -> None:
        graph = Graph(weights, ["batch", 1, CHUNK])
        self._session = graph.open(_network(graph), threads=threads)

    def listen(self, chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        """
        Run the network.

        Args:
            chunks: (batch, n_samples), ten seconds each at 16 kHz.

        Returns:
            (batch, n_frames, 7), the log probability of each set of voices: nobody, each of three,
            each two of them.
        """
        found: NDArray[np.float32] = self._session.run(None, {"x": chunks[:, None]})[0]
        return found


def powerset() -> NDArray[np.bool_]:
    """
    The voices of each set.

    >>> powerset().astype(int).tolist()
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]]
    """
    sets = [c for n in range(3) for c in combinations(range(N_SPEAKERS), n)]
    return np.array([[speaker in each for speaker in range(N_SPEAKERS)] for each in sets])


def voices(log_probs: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Who speaks, (…, n_frames, 3): the most probable set of each frame."""
    found: NDArray[np.bool_] = powerset()[log_probs.argmax(axis=-1)]
    return found


def _network(graph: Graph) -> str:
    """SincNet, four bidirectional LSTMs, two layers and a classifier."""
    x = graph.instance_norm("x", "sincnet.wav_norm1d")
    filters = graph.constant(_sinc_filters(graph))
    x = graph.add("Abs", graph.add("Conv", x, filters, strides=[10]))
    for i in range(3):
        if i:
            x = graph.convolve(x, f"sincnet.conv1d.{i}", stride=[1], pads=[0])
        x = graph.add("MaxPool", x, kernel_shape=[3], strides=[3])
        x = graph.instance_norm(x, f"sincnet.norm1d.{i}")
        x = graph.add("LeakyRelu", x, alpha=_SLOPE)
    x = graph.add("Transpose", x, perm=[2, 0, 1])  # (n_frames, batch, width)
    for i in range(_N_LSTM):
        x = _lstm(graph, x, i)
    for i in range(2):
        x = graph.add("LeakyRelu", graph.linear(x, f"linear.{i}"), alpha=_SLOPE)
    x = graph.add("LogSoftmax", graph.linear(x, "classifier"), axis=-1)
    return graph.add("Transpose", x, perm=[1, 0, 2])


def _lstm(graph: Graph, x: str, i: int) -> str:
    both = [f"l{i}", f"l{i}_reverse"]
    inner = [_gates(graph.weight(f"lstm.weight_ih_{way}")) for way in both]
    outer = [_gates(graph.weight(f"lstm.weight_hh_{way}")) for way in both]
    bias = [
        np.concatenate([_gates(graph.weight(f"lstm.bias_{kind}_{way}")) for kind in ("ih", "hh")])
        for way in both
    ]
    weights = (graph.constant(np.stack(each)) for each in (inner, outer, bias))
    y = graph.add("LSTM", x, *weights, hidden_size=_HIDDEN, direction="bidirectional")
    y = graph.add("Transpose", y, perm=[0, 2, 1, 3])  # (n_frames, batch, 2, hidden)
    shape = graph.constant([0, 0, 2 * _HIDDEN], np.int64)
    return graph.add("Reshape", y, shape)


def _gates(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """From torch's order of gates (input, forget, cell, output) to ONNX's (i, o, f, c)."""
    i, f, c, o = np.split(weights, 4)
    return np.concatenate([i, o, f, c])


def _sinc_filters(graph: Graph) -> NDArray[np.float32]:
    """
    The filters of the first layer, which are learned as frequency bands.

    Ravanelli and Bengio, "Speaker recognition from raw waveform with SincNet", SLT 2018, with the
    odd ones of Pariente et al., "Filterbank design for end-to-end speech separation", ICASSP 2020.

    Returns:
        (80, 1, 251): 40 even ones, and 40 odd ones of the same bands.
    """
    bank = "sincnet.conv1d.0.filterbank"
    low = _LEAST_LOW_HZ + np.abs(graph.weight(f"{bank}.low_hz_"))
    high = low + _LEAST_BAND_HZ + np.abs(graph.weight(f"{bank}.band_hz_"))
    high = np.clip(high, _LEAST_LOW_HZ, SAMPLE_RATE_HZ / 2)
    time = graph.weight(f"{bank}.n_")  # (1, 125), of the left half
    window = graph.weight(f"{bank}.window_")
    band = high - low  # (40, 1)
    even = (np.sin(high @ time) - np.sin(low @ time)) / (time / 2) * window
    odd = (np.cos(low @ time) - np.cos(high @ time)) / (time / 2) * window
    even = np.concatenate([even, 2 * band, even[:, ::-1]], axis=1)
    odd = np.concatenate([odd, np.zeros_like(band), -odd[:, ::-1]], axis=1)
    filters: NDArray[np.float32] = np.concatenate([even / (2 * band), odd / (2 * band)])
    return filters[:, None].astype(np.float32)
