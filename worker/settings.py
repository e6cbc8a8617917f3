"""Settings of the worker, and of libraries that have to be set before they are imported."""

from __future__ import annotations

import ctypes
import os
import socket
import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from shared.catalogue import may_be_own
from shared.settings import BASE_NAMES, SharedSettings
from worker.cores import usable_cores
from worker.engines import ENGINES

if TYPE_CHECKING:
    EngineName = str
else:
    EngineName = Literal[tuple(ENGINES)]

MODELS_CACHE = "~/.cache/longhand/models"
"""Where downloaded models go; below `XDG_CACHE_HOME` if that is set."""

_GPU_SESSIONS = 32

_M_MMAP_THRESHOLD = -3
"""A constant of malloc.h."""

_MODELS_HERE = Path("data/models")
_WITH_TOKEN, _WITHOUT_TOKEN = "pyannote/speaker-diarization-community-1", "diarization"
_FLAGS = {"true": {"true", "1", "yes", "on"}, "false": {"false", "0", "no", "off", ""}}


def _models_cache() -> Path:
    """A folder outside the checkout, which may be deleted; `data/models` if there is no other."""
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    except RuntimeError:  # there is no home directory
        return _MODELS_HERE
    place = Path(cache) / "longhand" / "models"
    there = next(parent for parent in (place, *place.parents) if parent.exists())
    can_be_written = there.is_dir() and os.access(there, os.W_OK | os.X_OK)
    return place if can_be_written else _MODELS_HERE


class WorkerSettings(SharedSettings):
    """One worker: one device, one engine, several jobs at a time."""

    model_config = SettingsConfigDict(populate_by_name=True)

    older_names: ClassVar[Mapping[str, str]] = {
        **BASE_NAMES,
        "WHISPER__INFERENCE_DEVICE": "device",
        "OMP_NUM_THREADS": "engine_threads",
    }

    engine: EngineName = Field("faster_whisper", description="Which library runs the models.")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="`cpu`, `cuda`, `cuda:1`, or `auto`: the first GPU if there is one.",
    )
    compute_type: Literal[
        "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16",
        "bfloat16", "float32",
    ] = Field(
        "auto",
        description="Number format; `auto` is int8 on a CPU and float16 on a GPU, or float32 "
        "if engine or device do not support that.",
    )  # fmt: skip
    models_dir: Path = Field(
        default_factory=_models_cache,
        description="Directory of model folders, where downloads are stored. Models that ship "
        "with Longhand are found too.",
        json_schema_extra={"shown": MODELS_CACHE},
    )
    downloads: bool = Field(
        True, description="Whether a missing model may be fetched when it is first asked for."
    )
    model_mirror: SecretStr = Field(
        SecretStr(""),
        description="Your own copies of models, which are tried first: a directory, or its "
        "http(s) address. `docs/airgapped.md` describes its layout.",
    )
    diarization_model: str = Field(
        "",
        description="Model that finds who speaks: a name, or a folder below the models "
        "directory. If empty, `diarization`, which needs no token and no torch; or "
        "`pyannote/speaker-diarization-community-1` if there is a Hugging Face token and the "
        "extra `diarization` is installed.",
    )
    hf_token: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("LONGHAND_HF_TOKEN", "HF_TOKEN"),
        description="Hugging Face token for models whose conditions were accepted; `HF_TOKEN` is "
        "read too.",
    )
    preload: str = Field(
        "true",
        description="Models that are loaded before the first job: `true` for the default one, "
        "`false` for none, or names separated by commas.",
    )
    resident_models: int = Field(
        2, ge=1, description="Models kept in memory; the least recently used is removed first."
    )
    model_memory_bytes: int = Field(
        0,
        ge=0,
        description="Most bytes of models kept in memory, measured by their weights on disk; 0 "
        "for no such limit.",
    )
    model_ttl_s: float = Field(
        0,
        ge=0,
        description="Seconds without use after which a model is removed from memory; 0 for never.",
    )
    slots: int = Field(
        8, ge=1, le=64, description="Jobs that one worker works on at the same time."
    )
    batch_size: int = Field(
        4, ge=1, le=64, description="Most chunks, of any jobs, in one pass through the model."
    )
    live_sessions: int = Field(
        -1,
        ge=-1,
        le=1000,
        description="Live sessions that one worker takes at the same time; 0 for none. -1 chooses "
        "2 for each core, or 32 on a GPU.",
    )
    cpu_processes: int = Field(
        1, ge=1, description="Processes that decode audio and find speech in it."
    )
    engine_threads: int = Field(
        0,
        ge=0,
        description="CPU threads of the engine; 0 for one for each core that this worker may "
        "use. With several workers on a machine, give each its share.",
    )
    stall_s: float = Field(
        300,
        gt=0,
        description="Seconds without progress after which a job fails with `job_timed_out`.",
    )
    scratch_dir: Path = Field(
        Path("data/scratch"),
        description="Directory of decoded audio, which is kept while a job runs.",
    )
    name: str = Field(
        default_factory=socket.gethostname,
        description="Name shown for this worker; a suffix makes it unique.",
    )

    @field_validator("models_dir")
    @classmethod
    def _at_home(cls, value: Path) -> Path:
        return value.expanduser()

    @field_validator("preload", mode="before")
    @classmethod
    def _flag_as_text(cls, value: object) -> object:
        text = str(value).strip()
        for word, meanings in _FLAGS.items():
            if text.lower() in meanings:
                return word
        return text

    @model_validator(mode="after")
    def _preloaded_models_fit(self) -> Self:
        unknown = [n for n in self._preload_names if self._resolve(n) is None]
        if unknown:
            raise ValueError(f"LONGHAND_PRELOAD names {unknown[0]!r}, which is no model we know")
        n_models = len(self.preloaded_models)
        if n_models > self.resident_models:
            raise ValueError(
                f"LONGHAND_PRELOAD names {n_models} models; LONGHAND_RESIDENT_MODELS keeps "
                f"{self.resident_models} in memory"
            )
        return self

    @model_validator(mode="after")
    def _engine_knows_the_number_format(self) -> Self:
        formats = ENGINES[self.engine].number_formats
        if formats is None or self.compute_type == "auto":
            return self
        usable = formats["cpu" if self.device == "cpu" else "cuda"]
        if self.compute_type not in usable:
            raise ValueError(
                f"LONGHAND_COMPUTE_TYPE is {self.compute_type!r}; {self.engine} on "
                f"{self.device!r} computes in {' or '.join(usable)}"
            )
        return self

    @property
    def diarizer(self) -> str:
        """The name of the diarization model of this site."""
        if self.diarization_model:
            return self.diarization_model
        has_token = bool(self.hf_token and self.hf_token.get_secret_value())
        has_pyannote = find_spec("pyannote") is not None and find_spec("torch") is not None
        return _WITH_TOKEN if has_token and has_pyannote else _WITHOUT_TOKEN

    @property
    def n_threads(self) -> int:
        """CPU threads of the engine."""
        return self.engine_threads or usable_cores()

    def live_capacity(self, device: str) -> int:
        """Live sessions at the same time, on the device that is really used."""
        if not ENGINES[self.engine].has_live:
            return 0
        if self.live_sessions >= 0:
            return self.live_sessions
        return _GPU_SESSIONS if device.startswith("cuda") else 2 * self.n_threads

    @property
    def preloaded_models(self) -> tuple[str, ...]:
        """Models to be loaded before taking jobs, each once."""
        resolved = (self._resolve(name) for name in self._preload_names)
        return tuple(dict.fromkeys(name for name in resolved if name))

    def _resolve(self, name: str | None) -> str | None:
        """A model's own name, for an alias; own models are known by their folders."""
        is_own = bool(name and may_be_own(name) and (self.models_dir / name).is_dir())
        return self.catalogue.resolve(name, own=[name] if name and is_own else [])

    @property
    def _preload_names(self) -> list[str | None]:
        if self.preload in _FLAGS:
            return [None] if self.preload == "true" else []
        return [name.strip() for name in self.preload.split(",") if name.strip()]


def quieten_libraries() -> None:
    """
    Switch off telemetry and spinning threads, before a heavy library is imported.

    onnxruntime and pyannote.audio report their use by default. onnxruntime needs a variable, since
    the function that stops it can be called only after the first report. Two OpenMP threads that
    spin on one busy core make inference up to fifty times slower. pyannote.audio warns of a missing
    FFmpeg, which it does not need here: we give it samples.
    """
    warnings.filterwarnings("ignore", r"\s*torchcodec is not installed correctly", UserWarning)
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
    """Give this process so many OpenMP threads, unless the operator has set a number."""
    os.environ.setdefault("OMP_NUM_THREADS", str(n_threads))


def limit_primitives() -> None:
    """
    Let oneDNN keep compiled code for 16 shapes only, not for a thousand.

    If each waveform has another length, what it keeps grows by 0.5 MB with each call. Do not use
    this in the engine process: all shapes are the same there, and CTranslate2 reads this variable.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")


def give_memory_back() -> None:
    """
    Return blocks of more than 1 MB to the system as soon as they are freed.

    glibc learns to take large arrays from its heap, where onnxruntime leaves holes that are not
    used again. In one of three processes, the search for speech in five hours held 0.3 to 0.7 GB
    more than the 50 MB that it needs. See mallopt(3). Other C libraries have neither this call nor
    the problem.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 20)


def show_one_gpu(uuid: str) -> None:
    """Let this process, and those that it starts from now on, see only one GPU."""
    os.environ["CUDA_VISIBLE_DEVICES"] = uuid
