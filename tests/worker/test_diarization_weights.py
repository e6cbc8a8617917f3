"""Weights as torch saves them, read without torch, and without running what else they hold."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from worker.diarization.weights import WeightsUnreadable, read_weights

has_torch = pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")


def checkpoint(path: Path, pickled: bytes) -> Path:
    """A file of torch's form around a pickle."""
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("archive/data.pkl", pickled)
    return path


class Runs:
    """What a pickle can do to a program that loads it."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self):
        return (os.mkdir, (str(self.place),))


def test_what_a_file_of_weights_would_run_is_refused(tmp_path: Path) -> None:
    harmful = pickle.dumps({"weight": Runs(tmp_path / "made")}, protocol=2)
    path = checkpoint(tmp_path / "harmful.pt", harmful)

    with pytest.raises(WeightsUnreadable, match=r"harmful.pt: it names \w+.mkdir"):
        read_weights(path)

    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["eval", "getattr", "__import__"])
def test_no_builtin_is_admitted(tmp_path: Path, name: str) -> None:
    path = checkpoint(tmp_path / "w.pt", b"\x80\x02cbuiltins\n" + name.encode() + b"\n.")

    with pytest.raises(WeightsUnreadable, match=f"builtins.{name}"):
        read_weights(path)


def test_a_damaged_file_is_told_from_weights(tmp_path: Path) -> None:
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04 and no more")

    with pytest.raises(WeightsUnreadable, match=r"cut.pt is no file of weights"):
        read_weights(tmp_path / "cut.pt")


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsUnreadable, match="no table"):
        read_weights(checkpoint(tmp_path / "w.pt", pickle.dumps([1, 2], protocol=2)))


@has_torch
def test_tensors_come_as_torch_holds_them(tmp_path: Path) -> None:
    import torch

    whole = torch.arange(24.0).reshape(2, 3, 4)
    held = {
        "whole": whole,
        "turned": whole.permute(2, 0, 1),
        "part": whole[1, 1:],
        "number": torch.tensor(7),
        "halves": torch.tensor([0.5, 1.5], dtype=torch.float16),
        "plain": {"rate": 16_000, "name": "x"},
    }
    torch.save(held, tmp_path / "w.pt")

    found = read_weights(tmp_path / "w.pt")

    assert found.pop("plain") == held.pop("plain")
    for name, tensor in held.items():
        np.testing.assert_array_equal(found[name], tensor.numpy())
        assert found[name].dtype == tensor.numpy().dtype


@has_torch
def test_a_tensor_that_would_leave_its_storage_is_refused(tmp_path: Path) -> None:
    import torch

    torch.save({"a": torch.arange(4.0)}, tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.pt") as packed:
        entries = {name: packed.read(name) for name in packed.namelist()}
    name = next(name for name in entries if name.endswith("data.pkl"))
    assert entries[name].count(b"K\x04\x85") == 1  # the shape, (4,)
    entries[name] = entries[name].replace(b"K\x04\x85", b"K\x40\x85")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for each, data in entries.items():
            packed.writestr(each, data)
    (tmp_path / "wide.pt").write_bytes(out.getvalue())

    with pytest.raises(WeightsUnreadable, match="wide.pt"):
        read_weights(tmp_path / "wide.pt")
