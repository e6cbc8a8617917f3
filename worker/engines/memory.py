"""Too little memory, as each library puts it and as Longhand does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import GpuOutOfMemory

_SAID = (
    "out of memory",  # CUDA, in torch's words and in CTranslate2's
    "CUBLAS_STATUS_ALLOC_FAILED",
    "can't allocate memory",  # torch, on a CPU
    "bad_alloc",
)


def as_out_of_memory(
    error: BaseException, *, model: str = "the model", device: str = "the device"
) -> GpuOutOfMemory | None:
    """
    What to tell of an error if it says that memory ran out; else None.

    >>> as_out_of_memory(RuntimeError("CUDA failed with error out of memory"), device="cuda").code
    'gpu_oom'
    >>> as_out_of_memory(RuntimeError("Invalid input features shape"))
    """
    text = f"{type(error).__name__}: {error}"
    if not isinstance(error, MemoryError) and not any(part in text for part in _SAID):
        return None
    return GpuOutOfMemory(
        f"there is not enough memory on {device} for {model} and what it was given to do; lower "
        "LONGHAND_BATCH_SIZE, choose a smaller model, or a smaller LONGHAND_COMPUTE_TYPE such as "
        "int8"
    )


@contextmanager
def memory_watched(model: str, device: str) -> Iterator[None]:
    """
    Translate what libraries raise when memory runs out.

    Raises:
        GpuOutOfMemory: It ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        found = as_out_of_memory(error, model=model, device=device)
        if found is None:
            raise
        raise found from error
