"""The engines on a CUDA device hear what they hear on a CPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from spoken import Clip, draw_clips, transcribe_here

from models.training.demo_model.scores import GATE, Errors
from worker.processes.gpu_memory import gpu_memory
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings, quieten_libraries

quieten_libraries()

NEEDED = {"openai_whisper": ("whisper", "whisper"), "whisperx": ("diarization", "whisperx")}
"""By engine, the extra and the library that only some hosts have."""

N_CLIPS = 20
SEED = 31


def n_devices() -> int:
    """CUDA devices that CTranslate2 can use."""
    import ctranslate2

    return int(ctranslate2.get_cuda_device_count())


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.main_job,
    pytest.mark.skipif(not n_devices(), reason="there is no CUDA device here"),
]


@pytest.fixture(scope="module")
def drawn(demo_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    return draw_clips(tmp_path_factory.mktemp("clips"), N_CLIPS, SEED)


def heard(clips: Sequence[Clip], **settings: Any) -> list[str]:
    """What the pipeline makes of each clip with these settings."""
    models = LocalModels(WorkerSettings(default_model="demo", downloads=False, **settings))
    return [transcribe_here(models, clip.path).text for clip in clips]


def rates(clips: Sequence[Clip], texts: Sequence[str]) -> dict[str, float]:
    """Pooled error rate of each language."""
    pooled = {"en": Errors(), "zh": Errors()}
    for clip, text in zip(clips, texts, strict=True):
        pooled[clip.language].add(clip.text, text, clip.language)
    return {language: errors.rate for language, errors in pooled.items()}


@pytest.mark.parametrize(
    ("engine", "on_gpu", "on_cpu"),
    [
        ("faster_whisper", "float16", "int8"),
        ("openai_whisper", "float16", "float32"),
        ("whisperx", "float16", "int8"),
    ],
)
def test_a_gpu_hears_what_a_cpu_hears(
    drawn: list[Clip], engine: str, on_gpu: str, on_cpu: str
) -> None:
    extra, library = NEEDED.get(engine, ("worker", "faster_whisper"))
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed: it comes with the extra `{extra}`")

    gpu = heard(drawn, engine=engine, device="cuda", compute_type=on_gpu)
    cpu = heard(drawn, engine=engine, device="cpu", compute_type=on_cpu)

    assert all(rate <= GATE[language] for language, rate in rates(drawn, gpu).items())
    apart = Errors()
    for clip, here, there in zip(drawn, cpu, gpu, strict=True):
        apart.add(here, there, clip.language)
    assert apart.rate <= 0.02


def test_a_gpu_tells_how_full_it_is_once_a_model_is_on_it(drawn: list[Clip]) -> None:
    heard(drawn[:1], device="cuda")
    memory = gpu_memory("cuda")

    assert memory is not None
    assert 0 < memory.used_bytes < memory.total_bytes
    assert memory.total_bytes > 1e9
