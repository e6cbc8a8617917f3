"""From the name of a diarization model to a loaded one."""

from __future__ import annotations

from worker.diarization.values import Diarizer
from worker.models.diarization_files import LIGHT
from worker.models.store import ModelStore
from worker.settings import quieten_libraries


def open_diarizer(name: str, store: ModelStore, *, device: str, threads: int = 1) -> Diarizer:
    """
    Load a diarization model by name.

    Args:
        store: Finds the folder of a model, and fetches it if that is allowed.
        device: `cpu`, `cuda` or `cuda:N`; the model that needs no torch always runs on the CPU.
        threads: CPU threads, in the whole process.

    Raises:
        ModelNotFound: The model is not here and cannot be fetched; says how to mend it.
        EngineFailed: The model cannot be loaded.
    """
    quieten_libraries()  # before pyannote.audio is imported, which reports its use by default
    folder = store.locate("diarization model", name)
    if name == LIGHT:
        from worker.diarization.onnx_diarizer import open_onnx_diarizer

        return open_onnx_diarizer(folder, threads=threads)
    from worker.diarization.pyannote_diarizer import open_pyannote_diarizer

    return open_pyannote_diarizer(folder, device=device, threads=threads)
