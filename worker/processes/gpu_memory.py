"""How much memory of a GPU is in use, by its driver: no other library is needed."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

_DRIVER = "libcuda.so.1"


@dataclass(frozen=True)
class GpuMemory:
    """Memory of one GPU, in bytes; `used_bytes` is that of all programs together."""

    used_bytes: int
    total_bytes: int


def gpu_memory(device: str) -> GpuMemory | None:
    """
    How much memory of a device is in use.

    Devices are numbered as the engines number them: `CUDA_VISIBLE_DEVICES` holds here too. The
    driver is asked only if this process has the GPU's primary context already, as engines do; to
    make one would take hundreds of megabytes.

    Args:
        device: `cpu`, `cuda` or `cuda:N`.

    Returns:
        None for a CPU, and for a GPU that this process does not use yet.

    >>> gpu_memory("cpu")
    """
    kind, _, index = device.partition(":")
    if kind != "cuda":
        return None
    try:
        driver = ctypes.CDLL(_DRIVER)
        return _ask(driver, int(index or 0))
    except (OSError, AttributeError):  # there is no driver, it refuses, or it is too old
        return None


def _ask(driver: ctypes.CDLL, index: int) -> GpuMemory | None:
    """See the CUDA driver API: device and primary context management, and cuMemGetInfo."""
    handle, flags, active = ctypes.c_int(), ctypes.c_uint(), ctypes.c_int()
    _check(driver.cuInit(0))
    _check(driver.cuDeviceGet(ctypes.byref(handle), index))
    _check(
        driver.cuDevicePrimaryCtxGetState(handle, ctypes.byref(flags), ctypes.byref(active)),
    )
    if not active.value:
        return None
    context, popped = ctypes.c_void_p(), ctypes.c_void_p()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    _check(driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), handle))
    try:
        _check(driver.cuCtxPushCurrent_v2(context))
        try:
            _check(driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)))
        finally:
            driver.cuCtxPopCurrent_v2(ctypes.byref(popped))
    finally:
        driver.cuDevicePrimaryCtxRelease_v2(handle)
    return GpuMemory(total.value - free.value, total.value)


def _check(status: int) -> None:
    if status != 0:
        raise OSError(f"the CUDA driver answers {status}")
