"""Networks as ONNX graphs, built node by node from weights, and run by onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_OPSET = 17
_IR_VERSION = 8
_EPSILON = 1e-5
"""What torch adds to a variance, in both of its norms."""


class Graph:
    """
    A network with one input and one output.

    Args:
        weights: The weights of its layers, by the names that torch gives them.
        inputs: The shape of its input `x`. A name stands for a dimension of any length.
    """

    def __init__(self, weights: Mapping[str, NDArray[Any]], inputs: Sequence[int | str]) -> None:
        self._weights = weights
        self._inputs = list(inputs)
        self._nodes: list[Any] = []
        self._constants: dict[str, NDArray[Any]] = {}

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; returns the name of its output."""
        from onnx import helper

        name = f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, values: ArrayLike, kind: type = np.float32) -> str:
        """Add a constant; returns its name."""
        name = f"c{len(self._constants)}"
        self._constants[name] = np.asarray(values, kind)
        return name

    def weight(self, name: str) -> NDArray[Any]:
        """One of the weights."""
        return self._weights[name]

    def convolve(self, x: str, name: str, *, stride: Sequence[int], pads: Sequence[int],
                 dilation: int = 1) -> str:  # fmt: skip
        """Convolve; `stride` and `pads` are for each dimension, `pads` at both ends of it."""
        kernel = self.weight(f"{name}.weight")
        inputs = [x, self.constant(kernel)]
        if f"{name}.bias" in self._weights:
            inputs.append(self.constant(self.weight(f"{name}.bias")))
        n = kernel.ndim - 2
        return self.add("Conv", *inputs, strides=list(stride), pads=[*pads, *pads],
                        dilations=[dilation] * n)  # fmt: skip

    def batch_norm(self, x: str, name: str) -> str:
        """Normalise by means and variances that were learned."""
        mean = self.weight(f"{name}.running_mean")
        scale = self._weights.get(f"{name}.weight", np.ones_like(mean))
        shift = self._weights.get(f"{name}.bias", np.zeros_like(mean))
        values = (scale, shift, mean, self.weight(f"{name}.running_var"))
        return self.add("BatchNormalization", x, *map(self.constant, values), epsilon=_EPSILON)

    def instance_norm(self, x: str, name: str) -> str:
        """Normalise by the means and variances of the input."""
        values = (self.weight(f"{name}.weight"), self.weight(f"{name}.bias"))
        return self.add("InstanceNormalization", x, *map(self.constant, values), epsilon=_EPSILON)

    def linear(self, x: str, name: str) -> str:
        """Add a linear layer over the last dimension."""
        product = self.add("MatMul", x, self.constant(self.weight(f"{name}.weight").T))
        return self.add("Add", product, self.constant(self.weight(f"{name}.bias")))

    def open(self, output: str, *, threads: int) -> InferenceSession:
        """Load the network into onnxruntime; `output` names the node that gives its output."""
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        graph = helper.make_graph(
            self._nodes,
            "network",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self._inputs)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            [
                numpy_helper.from_array(np.ascontiguousarray(a), n)
                for n, a in self._constants.items()
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)])
        model.ir_version = _IR_VERSION
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that spin while they wait would take a core from the engine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
