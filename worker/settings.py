"""Settings of the worker, and what must be said to libraries before they are imported."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Literal

from pydantic import Field

from shared.settings import CHECKOUT, SharedSettings


class WorkerSettings(SharedSettings):
    """One worker: one device, one engine, several jobs at a time."""

    engine: Literal["faster_whisper", "openai_whisper"] = Field(
        "faster_whisper", description="Which library runs the models."
    )
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="`cpu`, `cuda`, `cuda:1`, or `auto`: the first GPU if there is one.",
    )
    compute_type: str = Field(
        "auto",
        description="Number format: `int8`, `float32`, `float16` …; `auto` is int8 on a CPU "
        "and float16 on a GPU.",
    )
    models_dir: Path = Field(
        CHECKOUT / "models", description="Directory of model folders; downloads land here."
    )
    downloads: bool = Field(
        True, description="Whether a missing model of the catalogue may be downloaded."
    )
    preload: bool = Field(True, description="Load the default model before taking jobs.")
    resident_models: int = Field(
        2, ge=1, description="Models kept in memory; the least recently used leaves first."
    )
    slots: int = Field(8, ge=1, le=64, description="Jobs one worker works on at a time.")
    batch_size: int = Field(
        4, ge=1, le=64, description="Most chunks, of any jobs, in one pass through the model."
    )
    cpu_processes: int = Field(
        1, ge=1, description="Processes that decode audio and find speech in it."
    )
    engine_threads: int = Field(1, ge=1, description="CPU threads of the engine.")
    stall_s: float = Field(
        300, gt=0, description="Seconds without progress after which a job fails `job_timed_out`."
    )
    scratch_dir: Path = Field(
        Path("data/scratch"), description="Directory of decoded audio while a job runs."
    )
    name: str = Field(
        default_factory=socket.gethostname,
        description="Name shown for this worker; a suffix makes it unique.",
    )


def quieten_libraries() -> None:
    """
    Switch off what phones home, and spinning threads, before anything heavy is imported.

    onnxruntime and pyannote.audio report usage by default; the former only
    obeys its variable, since its call comes too late. Two OpenMP threads that
    spin for a busy core make inference up to fifty times slower.
    """
    for name, value in {
        "ORT_DISABLE_TELEMETRY": "1",
        "PYANNOTE_METRICS_ENABLED": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_WAIT_POLICY": "passive",
        "GOMP_SPINCOUNT": "0",
    }.items():
        os.environ.setdefault(name, value)


def limit_threads(n_threads: int) -> None:
    """Give this process so many OpenMP threads, unless the operator chose a number."""
    os.environ.setdefault("OMP_NUM_THREADS", str(n_threads))


def show_one_gpu(uuid: str) -> None:
    """Let this process, and those it starts from now on, see one GPU: as their first."""
    os.environ["CUDA_VISIBLE_DEVICES"] = uuid
