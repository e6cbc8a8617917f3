"""Dialogs of voices nobody was trained on, and the demo pipeline that listens to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.training.demo_diarization.dialogs import UNSEEN, Dialog, draw_dialog
from models.training.demo_diarization.measure import write_source
from shared.settings import CHECKOUT
from worker.audio.source import AudioSource
from worker.diarization import Diarizer, open_diarizer
from worker.models.store import ModelStore
from worker.settings import quieten_libraries

quieten_libraries()

DEMO = CHECKOUT / "models" / "demo-diarization"
TWO, THREE = UNSEEN[1:3], (UNSEEN[3], UNSEEN[6], UNSEEN[4])


@pytest.fixture(scope="module")
def diarizer() -> Diarizer:
    return open_diarizer("demo-diarization", ModelStore(CHECKOUT / "models"), device="cpu")


@pytest.fixture(scope="module")
def two() -> Dialog:
    return draw_dialog(4, TWO, length_s=24)


@pytest.fixture(scope="module")
def three() -> Dialog:
    return draw_dialog(5, THREE, length_s=28)


@pytest.fixture
def source(tmp_path: Path):
    """A function that writes a dialog, or samples, as audio to be read by span."""

    def write(content: Any) -> AudioSource:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.pcm"
        if isinstance(content, Dialog):
            return write_source(content, path)
        path.write_bytes(np.asarray(content, "<i2").tobytes())
        return AudioSource(path, len(content))

    return write
