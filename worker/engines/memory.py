"""Out of memory: what the libraries raise becomes an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import GpuOutOfMemory

_PHRASES = (
    "out of memory",  # CUDA, by torch and by CTranslate2
    "CUBLAS_STATUS_ALLOC_FAILED",
    "can't allocate memory",  # torch, on a CPU
    "bad_alloc",
)


def as_out_of_memory(
    error: BaseException, *, model: str = "the model", device: str = "the device"
) -> GpuOutOfMemory | None:
    """
    Our error for a library's, if that says that memory ran out; else None.

    >>> as_out_of_memory(RuntimeError("CUDA failed with error out of memory"), device="cuda").code
    'gpu_oom'
    >>> as_out_of_memory(RuntimeError("Invalid input features shape"))
    """
    text = f"{type(error).__name__}: {error}"
    if not isinstance(error, MemoryError) and not any(part in text for part in _PHRASES):
        return None
    return GpuOutOfMemory(
        f"there is not enough memory on {device} for {model} and what it was given to do; lower "
        "LONGHAND_BATCH_SIZE, choose a smaller model, or a smaller LONGHAND_COMPUTE_TYPE such as "
        "int8"
    )


@contextmanager
def memory_watched(model: str, device: str) -> Iterator[None]:
    """
    Translate the errors that libraries raise in the block when memory runs out.

    Raises:
        GpuOutOfMemory: Memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        found = as_out_of_memory(error, model=model, device=device)
        if found is None:
            raise
        raise found from error
