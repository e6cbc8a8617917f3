"""Models in memory: who stays, who leaves, who is read anew. Every model is the demo's, copied."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import EngineFailed, ModelNotFound
from shared.settings import CHECKOUT
from worker.audio.source import AudioSource, decode
from worker.engines.base import DecodeOptions
from worker.models.manifest import DESCRIPTION_FILE, describe
from worker.processes.cache import ChunkTask, ModelCache
from worker.settings import WorkerSettings
from worker.speech.detection import Span

ENGINES = ["faster_whisper", "openai_whisper"]
WEIGHTS_BYTES = 17_117_798
FILES = {
    "faster_whisper": ("model.bin", "*.json"),
    "openai_whisper": ("compact.pt",),
}


class Clock:
    """Tells what it was set to."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def put(tmp_path: Path, demo_model: Path) -> Callable[..., Path]:
    """A function that puts the demo model under another name, in place of what was there."""

    def put(name: str, revision: str = "first", engine: str = "faster_whisper") -> Path:
        folder = tmp_path / "models" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for pattern in FILES[engine]:
            for path in demo_model.glob(pattern):
                shutil.copyfile(path, folder / path.name)
        (folder / DESCRIPTION_FILE).unlink(missing_ok=True)
        describe(folder, name, revision)
        return folder

    return put


@pytest.fixture
def make_cache(tmp_path: Path, clock: Clock) -> Callable[..., ModelCache]:
    """A function that makes a cache; its arguments are settings."""

    def make(**chosen: object) -> ModelCache:
        fixed = {"models_dir": tmp_path / "models", "device": "cpu", "downloads": False}
        return ModelCache(WorkerSettings(**fixed | chosen), clock)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> AudioSource:
    """The bundled sample, decoded."""
    scratch = tmp_path_factory.mktemp("scratch") / "audio"
    return decode(CHECKOUT / "samples" / "demo.wav", scratch)


def text_of(cache: ModelCache, name: str, audio: AudioSource) -> str:
    task = ChunkTask(audio, Span(0, min(8 * 16_000, audio.n_samples)), DecodeOptions("en"))
    [decoding] = cache.transcribe(name, [task])
    return "".join(segment.text for segment in decoding.segments)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_is_loaded_once_and_says_which_it_is(
    engine: str, make_cache: Callable[..., ModelCache], put: Callable[..., Path]
) -> None:
    put("tiny", engine=engine)
    cache = make_cache(engine=engine)

    used = [cache.load("tiny") for _ in range(3)]

    assert cache.n_loads == 1
    assert used == [used[0]] * 3
    assert (used[0].name, used[0].revision, used[0].engine) == ("tiny", "first", engine)


def test_the_least_recently_used_leaves_first(
    make_cache: Callable[..., ModelCache], put: Callable[..., Path], audio: AudioSource
) -> None:
    for name in ("tiny", "base", "small"):
        put(name)
    cache = make_cache(resident_models=2)

    cache.load("tiny")
    cache.load("base")
    text_of(cache, "tiny", audio)
    cache.load("small")

    assert cache.names() == ("tiny", "small")
    cache.detect_language("base", audio, Span(0, 16_000))
    assert cache.names() == ("small", "base")
    assert cache.n_loads == 4


def test_as_many_stay_as_the_memory_budget_has_room_for(
    make_cache: Callable[..., ModelCache], put: Callable[..., Path]
) -> None:
    names = ("tiny", "base", "small", "medium")
    for name in names:
        put(name)
    roomy = make_cache(resident_models=4, model_memory_bytes=4 * WEIGHTS_BYTES)
    narrow = make_cache(resident_models=4, model_memory_bytes=4 * WEIGHTS_BYTES - 1)

    for name in names:
        roomy.load(name)
        narrow.load(name)

    assert roomy.names() == names
    assert narrow.names() == names[1:]


def test_a_model_larger_than_the_budget_is_alone_in_memory(
    make_cache: Callable[..., ModelCache],
    put: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
) -> None:
    put("tiny")
    put("base")
    cache = make_cache(resident_models=4, model_memory_bytes=WEIGHTS_BYTES - 1)

    for name in ("tiny", "base"):
        cache.load(name)
        assert cache.names() == (name,)
    assert "LONGHAND_MODEL_MEMORY_BYTES is 17.12 MB" in caplog.text


def test_a_model_that_is_not_to_be_had_moves_nobody_out(
    make_cache: Callable[..., ModelCache], put: Callable[..., Path]
) -> None:
    put("tiny")
    cache = make_cache(resident_models=1)
    cache.load("tiny")

    with pytest.raises(ModelNotFound):
        cache.load("base")

    assert cache.names() == ("tiny",)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_idle_model_leaves_and_the_next_request_has_it_again(
    engine: str,
    make_cache: Callable[..., ModelCache],
    put: Callable[..., Path],
    clock: Clock,
    audio: AudioSource,
) -> None:
    put("tiny", engine=engine)
    cache = make_cache(engine=engine, model_ttl_s=10)
    before = text_of(cache, "tiny", audio)

    clock.now_s = 9.9
    assert (cache.unload_idle(), cache.names()) == (0, ("tiny",))
    clock.now_s = 10
    assert (cache.unload_idle(), cache.names()) == (1, ())

    assert before.strip()
    assert text_of(cache, "tiny", audio) == before
    assert (cache.names(), cache.n_loads) == (("tiny",), 2)


def test_each_use_begins_the_time_of_a_model_anew_and_no_others(
    make_cache: Callable[..., ModelCache],
    put: Callable[..., Path],
    clock: Clock,
    audio: AudioSource,
) -> None:
    put("tiny")
    put("base")
    cache = make_cache(model_ttl_s=10)
    cache.load("tiny")
    cache.load("base")
    clock.now_s = 8
    text_of(cache, "tiny", audio)

    clock.now_s = 12
    assert (cache.unload_idle(), cache.names()) == (1, ("tiny",))


def test_a_model_asked_for_just_after_its_time_is_not_loaded_again(
    make_cache: Callable[..., ModelCache], put: Callable[..., Path], clock: Clock
) -> None:
    put("tiny")
    cache = make_cache(model_ttl_s=10)
    cache.load("tiny")

    clock.now_s = 100
    cache.load("tiny")

    assert (cache.unload_idle(), cache.n_loads) == (0, 1)


def test_on_a_worker_that_is_never_idle_other_models_still_leave(
    make_cache: Callable[..., ModelCache], put: Callable[..., Path], clock: Clock
) -> None:
    put("tiny")
    put("base")
    cache = make_cache(model_ttl_s=10)
    cache.load("tiny")

    clock.now_s = 100
    cache.load("base")

    assert cache.names() == ("base",)


def test_without_a_time_to_live_nothing_leaves(
    make_cache: Callable[..., ModelCache], put: Callable[..., Path], clock: Clock
) -> None:
    put("tiny")
    cache = make_cache()
    cache.load("tiny")

    clock.now_s = 1e9

    assert (cache.unload_idle(), cache.names()) == (0, ("tiny",))


@pytest.mark.parametrize("engine", ENGINES)
def test_replaced_files_are_read_with_the_next_generation_and_not_before(
    engine: str, make_cache: Callable[..., ModelCache], put: Callable[..., Path]
) -> None:
    put("tiny", "first", engine)
    cache = make_cache(engine=engine)
    cache.load("tiny", 5)
    put("tiny", "second", engine)

    assert cache.load("tiny", 5).revision == "first"
    assert cache.load("tiny", 4).revision == "first"  # of a job that was claimed earlier
    assert cache.load("tiny", 6).revision == "second"
    assert cache.load("tiny", 6).revision == "second"
    assert cache.load("tiny", 5).revision == "second"
    assert cache.n_loads == 2


def test_a_reload_leaves_other_models_where_they_are(
    make_cache: Callable[..., ModelCache], put: Callable[..., Path]
) -> None:
    put("tiny")
    put("base")
    cache = make_cache(resident_models=2)
    cache.load("tiny", 1)
    cache.load("base", 1)

    cache.load("base", 2)

    assert cache.names() == ("tiny", "base")
    assert cache.n_loads == 3
    cache.load("tiny", 2)
    assert cache.n_loads == 4


def test_files_that_do_not_load_leave_the_old_model_at_work_until_the_next_reload(
    make_cache: Callable[..., ModelCache],
    put: Callable[..., Path],
    audio: AudioSource,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = put("tiny", "first")
    cache = make_cache()
    cache.load("tiny", 1)
    before = text_of(cache, "tiny", audio)
    (folder / "model.bin").write_bytes(b"broken off")

    with caplog.at_level(logging.ERROR):
        used = [cache.load("tiny", 2) for _ in range(3)]

    assert [each.revision for each in used] == ["first"] * 3
    assert text_of(cache, "tiny", audio) == before
    assert [r.message.partition(":")[0] for r in caplog.records] == [
        "model tiny stays as it is, the reload failed"
    ]
    put("tiny", "mended")
    assert cache.load("tiny", 3).revision == "mended"


def test_a_number_format_that_the_device_does_not_have_is_refused_at_start(
    make_cache: Callable[..., ModelCache],
) -> None:
    with pytest.raises(EngineFailed) as refused:
        make_cache(compute_type="int8_float16")

    assert "LONGHAND_COMPUTE_TYPE is 'int8_float16'; faster_whisper on 'cpu' computes in " in str(
        refused.value
    )
    assert "int8" in str(refused.value).partition("computes in")[2]


def test_a_gpu_that_is_not_there_is_refused_at_start(
    make_cache: Callable[..., ModelCache],
) -> None:
    with pytest.raises(EngineFailed, match="LONGHAND_DEVICE is 'cuda:99' and CUDA sees [0-9]+ GPU"):
        make_cache(device="cuda:99")


@pytest.mark.parametrize(
    ("engine", "chosen", "used"),
    [
        ("faster_whisper", "auto", "int8"),
        ("faster_whisper", "float32", "float32"),
        ("openai_whisper", "auto", "float32"),
    ],
)
def test_the_number_format_in_use_is_the_one_chosen_or_the_devices_own(
    make_cache: Callable[..., ModelCache], engine: str, chosen: str, used: str
) -> None:
    assert make_cache(engine=engine, compute_type=chosen).compute_type == used
