"""
Reads `model.bin`, CTranslate2's file of weights.

The format is what `ctranslate2.specs.ModelSpec` writes: version, name and revision of the kind of
model; then each variable with its name, shape, type and bytes; then other names of variables. All
numbers are little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

Variables = Mapping[str, "NDArray[Any]"]

_VERSIONS = (5, 6)
_KIND = "WhisperSpec"
_TYPES = ("<f4", "<i1", "<i2", "<i4", "<f2")


class NotConvertible(Exception):
    """Weights that cannot be converted; the message says why."""


def read_variables(path: Path) -> dict[str, NDArray[Any]]:
    """
    Read the variables of a Whisper model, by name.

    They are mapped from the disk, and read only when they are used.

    Raises:
        NotConvertible: It is not a Whisper model of CTranslate2, or of an unknown version.
    """
    try:
        return _Reader(path).read()
    except (struct.error, ValueError, IndexError, UnicodeDecodeError) as error:
        raise NotConvertible(f"{path.name} is no model of CTranslate2: {error}") from error


def plain(variables: Variables, name: str) -> NDArray[Any]:
    """The values of a variable; those stored as integers are multiplied out with their scale."""
    import numpy as np

    values = variables[name]
    if values.dtype.kind != "i":
        return values
    scale = variables[f"{name}_scale"].astype(np.float32)
    # One scale for each row, or one for all.
    rows = scale.reshape(-1, *[1] * (values.ndim - 1)) if scale.ndim else scale
    return values.astype(np.float32) / rows


class _Reader:
    def __init__(self, path: Path) -> None:
        import numpy as np

        self._path = path
        self._bytes = np.memmap(path, mode="r")
        self._at = 0

    def read(self) -> dict[str, NDArray[Any]]:
        version, kind, _revision = self._number("I"), self._text(), self._number("I")
        if kind != _KIND or version not in _VERSIONS:
            raise NotConvertible(
                f"{self._path.name} is a {kind!r} of format {version}; {_KIND!r} of formats "
                f"{' and '.join(map(str, _VERSIONS))} can be converted"
            )
        found = dict(self._variable() for _ in range(self._number("I")))
        for _ in range(self._number("I")):
            alias = self._text()
            found[alias] = found[self._text()]
        return found

    def _variable(self) -> tuple[str, NDArray[Any]]:
        import numpy as np

        name = self._text()
        shape = [self._number("I") for _ in range(self._number("B"))]
        kind, n_bytes = np.dtype(_TYPES[self._number("B")]), self._number("I")
        values = np.frombuffer(self._bytes, kind, n_bytes // kind.itemsize, self._at)
        self._at += n_bytes
        return name, values.reshape(shape)

    def _text(self) -> str:
        n_bytes = self._number("H")
        text = self._bytes[self._at : self._at + n_bytes].tobytes()
        self._at += n_bytes
        return text.rstrip(b"\0").decode()

    def _number(self, kind: str) -> int:
        (value,) = struct.unpack_from(f"<{kind}", self._bytes.data, self._at)
        self._at += struct.calcsize(f"<{kind}")
        return int(value)
