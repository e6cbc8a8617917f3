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
        store: Where folders of models lie, and whether a missing one may be fetched.
        device: `cpu`, `cuda` or `cuda:N`; the one that needs no torch is always on the CPU.
        threads: CPU threads, of this whole process.

    Raises:
        ModelNotFound: It is not here and cannot be fetched; says how to mend it.
    """
    quieten_libraries()  # before pyannote.audio is imported, which reports its use by default
    folder = store.locate("diarization model", name)
    if name == LIGHT:
        from worker.diarization.light import open_light

        return open_light(folder, threads=threads)
    from worker.diarization.pyannote_diarizer import open_pipeline

    return open_pipeline(folder, device=device, threads=threads)
