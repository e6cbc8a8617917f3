"""
Weights that torch saved, read without torch.

A checkpoint is a pickle, and a pickle may run any code. Here it may name only six things: tensors,
four types of storages, and an ordered dictionary. If it names anything else, it is refused before
anything runs.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_TYPES: Mapping[str, str] = {
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "DoubleStorage": "<f8",
    "LongStorage": "<i8",
}


class WeightsUnreadable(Exception):
    """A file of weights is damaged, or holds something other than tensors and plain values."""


@dataclass(frozen=True)
class _Storage:
    """Stands for a torch storage type that a pickle names."""

    dtype: str


def read_weights(path: Path) -> dict[str, Any]:
    """
    Read a checkpoint that `torch.save` wrote.

    Returns:
        What it holds: tensors, as arrays with their shapes and types, and plain values.

    Raises:
        WeightsUnreadable: The file is no checkpoint, or would do more than hold values.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            (listing,) = (name for name in packed.namelist() if name.endswith("/data.pkl"))
            folder = listing.removesuffix("data.pkl")
            with packed.open(listing) as file:
                found = _Reader(file, lambda key: packed.read(f"{folder}data/{key}")).load()
    except WeightsUnreadable as error:
        raise WeightsUnreadable(f"{path.name}: {error}") from error
    except Exception as error:  # a damaged pickle may raise anything
        raise WeightsUnreadable(f"{path.name} is no file of weights: {error}") from error
    if not isinstance(found, dict):
        raise WeightsUnreadable(f"{path.name} holds no table of weights")
    return dict(found)


class _Reader(pickle.Unpickler):
    def __init__(self, file: Any, read: Callable[[str], bytes]) -> None:
        super().__init__(file)
        self._read = read
        self._read_before: dict[str, NDArray[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Resolve a name in the pickle; only a few harmless ones are known."""
        if module == "torch" and name in _TYPES:
            return _Storage(_TYPES[name])
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise WeightsUnreadable(f"it names {module}.{name}, which is no tensor or plain value")

    def persistent_load(self, pid: Any) -> NDArray[Any]:
        """Read the numbers of a storage, which lie in a file beside the pickle."""
        _, storage, key, _, n_items = pid
        if key not in self._read_before:
            self._read_before[key] = np.frombuffer(self._read(str(key)), storage.dtype)
        if len(self._read_before[key]) != n_items:
            raise WeightsUnreadable("a tensor has not as many numbers as it should")
        return self._read_before[key]


def _tensor(
    storage: NDArray[Any], offset: int, shape: Sequence[int], stride: Sequence[int], *_: object
) -> NDArray[Any]:
    """A tensor as a view of its storage. numpy refuses a view that would go beyond it."""
    n_bytes = storage.itemsize
    view: NDArray[Any] = np.ndarray(
        tuple(shape), storage.dtype, storage.data, offset * n_bytes, [n_bytes * s for s in stride]
    )
    return view
