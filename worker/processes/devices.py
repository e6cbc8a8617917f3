"""Which device a worker computes on, and in which number format."""

from __future__ import annotations

from collections.abc import Collection

from shared.errors import EngineFailed
from worker.engines import ENGINES

_FASTEST = {"cpu": "int8", "cuda": "float16"}


def best_device(wanted: str) -> str:
    """
    The device to load models on. `auto` means the first GPU, or the CPU if there is none.

    Raises:
        EngineFailed: There is no such GPU.
    """
    if wanted == "cpu":
        return wanted
    import ctranslate2

    n_gpus = ctranslate2.get_cuda_device_count()
    if wanted == "auto":
        return "cuda" if n_gpus else "cpu"
    if _index(wanted) >= n_gpus:
        raise EngineFailed(
            f"LONGHAND_DEVICE is {wanted!r} and CUDA sees {n_gpus} GPUs here; "
            "nvidia-smi says what the driver sees"
        )
    return wanted


def choose_compute_type(engine: str, wanted: str, device: str) -> str:
    """
    The number format to compute in.

    Args:
        wanted: A format; or `auto`, which is int8 on a CPU and float16 on a GPU, but float32 if
            engine or device do not have that.
        device: `cpu`, `cuda` or `cuda:N`.

    Raises:
        EngineFailed: Engine or device have no such format.

    >>> choose_compute_type("openai_whisper", "auto", "cpu")
    'float32'
    """
    usable = _number_formats(engine, device)
    if wanted == "auto":
        fastest = _FASTEST[_kind(device)]
        return fastest if fastest in usable else "float32"
    if wanted not in usable:
        raise EngineFailed(
            f"LONGHAND_COMPUTE_TYPE is {wanted!r}; {engine} on {device!r} computes in "
            f"{', '.join(sorted(usable))}"
        )
    return wanted


def _number_formats(engine: str, device: str) -> Collection[str]:
    known = ENGINES[engine].number_formats
    if known is not None:
        return known[_kind(device)]
    import ctranslate2

    found: set[str] = ctranslate2.get_supported_compute_types(_kind(device), _index(device))
    return found


def _kind(device: str) -> str:
    return device.partition(":")[0]


def _index(device: str) -> int:
    return int(device.partition(":")[2] or 0)
