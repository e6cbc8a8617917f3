"""From the name of an alignment model to a loaded one."""

from __future__ import annotations

from shared.errors import EngineFailed
from worker.alignment.aligner import Aligner
from worker.alignment.network import open_network
from worker.models.alignment_files import description_of
from worker.models.store import ModelStore


def open_aligner(name: str, store: ModelStore, *, device: str, threads: int = 1) -> Aligner:
    """
    Load an alignment model by the name that `aligner_name` gives.

    Args:
        store: Finds the folder of a model, and fetches it if that is allowed.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads of torch, in the whole process.

    Raises:
        ModelNotFound: The model is not here and cannot be fetched; says how to mend it.
        EngineFailed: The model cannot be loaded.
    """
    folder = store.locate("aligner", name)
    try:
        import torch

        torch.set_num_threads(threads)
        network = open_network(name, folder, device)
        about = description_of(folder)
    except ImportError as error:
        raise EngineFailed(
            f"aligning needs torch, torchaudio and transformers ({error}); install the extra "
            "`diarization` on this worker"
        ) from error
    except Exception as error:  # each form of weights has errors of its own
        raise EngineFailed(f"the aligner {name!r} cannot be loaded: {error}") from error
    return Aligner(network, offset_s=float(about.get("frame_offset_s", 0.0)))
