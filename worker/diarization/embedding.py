"""
The embedding network: a voice as 192 numbers, by 3D-Speaker's CAM++ (zh-en) on onnxruntime.

Wang et al., "CAM++: a fast and efficient network for speaker verification using context-aware
masking", Interspeech 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.diarization.features import N_MELS
from worker.diarization.onnx_graph import Graph

DIMENSION = 192

_BLOCKS = ((12, 1), (24, 2), (16, 2))
"""Layers, and their dilation, in each dense block."""

_STRIDE = 2
_POOLED = 100
_HEAD = 32


class EmbeddingNetwork:
    """CAM++: a trunk that is the same for all speakers, and a layer that embeds its statistics."""

    def __init__(self, weights: Mapping[str, NDArray[Any]], threads: int) -> None:
        graph = Graph(weights, ["batch", "time", N_MELS])
        self._session = graph.open(_trunk(graph), threads=threads)
        dense = "xvector.dense.nonlinear.batchnorm"
        scale = 1 / np.sqrt(weights[f"{dense}.running_var"] + 1e-5)  # (192,)
        self._matrix = weights["xvector.dense.linear.weight"][:, :, 0].T * scale  # (1024, 192)
        self._shift = -weights[f"{dense}.running_mean"] * scale

    def frames(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """
        Run the trunk.

        Args:
            features: (batch, n, 80) from `features.filter_bank`, minus their mean.

        Returns:
            (batch, 512, (n + 1) // 2), a frame every 20 ms.
        """
        found: NDArray[np.float32] = self._session.run(None, {"x": features})[0]
        return found

    def embed(
        self, mean: NDArray[np.floating[Any]], deviation: NDArray[np.floating[Any]]
    ) -> NDArray[np.float32]:
        """Embed a voice, (…, 192), from means and deviations, (…, 512), of its frames."""
        pooled = np.concatenate([mean, deviation], axis=-1)
        return (pooled @ self._matrix + self._shift).astype(np.float32)


def _trunk(graph: Graph) -> str:
    x = graph.add("Transpose", "x", perm=[0, 2, 1])
    x = graph.add("Unsqueeze", x, graph.constant([1], np.int64))  # (batch, 1, 80, n)
    x = _conv_norm(graph, x, "conv1", "bn1", stride=1)
    for layer in ("layer1", "layer2"):
        x = _residual(graph, x, f"{layer}.0", stride=2)
        x = _residual(graph, x, f"{layer}.1", stride=1)
    x = _conv_norm(graph, x, "conv2", "bn2", stride=2)
    x = graph.add("Reshape", x, graph.constant([0, _HEAD * N_MELS // 8, -1], np.int64))
    x = graph.convolve(x, "xvector.tdnn.linear", stride=[_STRIDE], pads=[2])
    x = _norm_relu(graph, x, "xvector.tdnn.nonlinear")
    for i, (n_layers, dilation) in enumerate(_BLOCKS, 1):
        for j in range(1, n_layers + 1):
            y = _dense(graph, x, f"xvector.block{i}.tdnnd{j}", dilation)
            x = graph.add("Concat", x, y, axis=1)
        x = _norm_relu(graph, x, f"xvector.transit{i}.nonlinear")
        x = graph.convolve(x, f"xvector.transit{i}.linear", stride=[1], pads=[0])
    return _norm_relu(graph, x, "xvector.out_nonlinear")


def _conv_norm(graph: Graph, x: str, conv: str, norm: str, *, stride: int) -> str:
    x = graph.convolve(x, f"head.{conv}", stride=[stride, 1], pads=[1, 1])
    return graph.add("Relu", graph.batch_norm(x, f"head.{norm}"))


def _residual(graph: Graph, x: str, name: str, *, stride: int) -> str:
    y = _conv_norm(graph, x, f"{name}.conv1", f"{name}.bn1", stride=stride)
    y = graph.convolve(y, f"head.{name}.conv2", stride=[1, 1], pads=[1, 1])
    y = graph.batch_norm(y, f"head.{name}.bn2")
    if stride > 1:
        x = graph.convolve(x, f"head.{name}.shortcut.0", stride=[stride, 1], pads=[0, 0])
        x = graph.batch_norm(x, f"head.{name}.shortcut.1")
    return graph.add("Relu", graph.add("Add", x, y))


def _norm_relu(graph: Graph, x: str, name: str) -> str:
    return graph.add("Relu", graph.batch_norm(x, f"{name}.batchnorm"))


def _dense(graph: Graph, x: str, name: str, dilation: int) -> str:
    """
    One layer with its context-aware mask.

    The mask is the same for each hundred frames, so it is computed once for all of them.
    """
    x = _norm_relu(graph, x, f"{name}.nonlinear1")
    x = graph.convolve(x, f"{name}.linear1", stride=[1], pads=[0])
    x = _norm_relu(graph, x, f"{name}.nonlinear2")
    y = graph.convolve(x, f"{name}.cam_layer.linear_local", stride=[1], pads=[dilation],
                       dilation=dilation)  # fmt: skip
    whole = graph.add("ReduceMean", x, axes=[2], keepdims=1)
    parts = graph.add("AveragePool", x, kernel_shape=[_POOLED], strides=[_POOLED], ceil_mode=1)
    mask = graph.add("Add", whole, parts)
    mask = graph.convolve(mask, f"{name}.cam_layer.linear1", stride=[1], pads=[0])
    mask = graph.convolve(
        graph.add("Relu", mask), f"{name}.cam_layer.linear2", stride=[1], pads=[0]
    )
    return graph.add("Mul", y, _stretched(graph, graph.add("Sigmoid", mask), like=y))


def _stretched(graph: Graph, mask: str, *, like: str) -> str:
    """Repeat a mask, (batch, width, n_parts), for the frames of each part."""
    mask = graph.add("Unsqueeze", mask, graph.constant([3], np.int64))
    mask = graph.add("Expand", mask, graph.constant([1, 1, 1, _POOLED], np.int64))
    mask = graph.add("Reshape", mask, graph.constant([0, 0, -1], np.int64))
    n_frames = graph.add("Gather", graph.add("Shape", like), graph.constant([2], np.int64))
    start, axis = graph.constant([0], np.int64), graph.constant([2], np.int64)
    return graph.add("Slice", mask, start, n_frames, axis)
