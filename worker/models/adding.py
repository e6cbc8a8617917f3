"""Tries an operator's own model, and adds it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from shared.catalogue import may_be_own
from shared.errors import InvalidRequest, LonghandError
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.engines import open_engine
from worker.engines.base import Chunk, DecodeOptions
from worker.models.conversion.ctranslate2_file import NotConvertible, read_variables
from worker.models.conversion.vocabulary import TOKENIZER_FILE
from worker.models.diarization_files import LIGHT, PIPELINES
from worker.models.folders import alone
from worker.models.manifest import Manifest, mark, own_files, write_manifest
from worker.models.store import SHIPPED
from worker.models.whisper_files import PREPROCESSOR_FILE, WEIGHTS_FILE, CTranslate2Files

if TYPE_CHECKING:
    from worker.models.store import ModelStore

_TAKEN_OVER = (WEIGHTS_FILE, "config.json", TOKENIZER_FILE, "vocabulary.*", PREPROCESSOR_FILE)
_USUAL_MELS = 80


def add_model(
    store: ModelStore,
    name: str,
    source: Path,
    *,
    taken: Collection[str] = (),
    say: Callable[[str], None] = lambda stage: None,
) -> Path:
    """
    Copy or convert a model into a folder of its own.

    Args:
        source: A folder of CTranslate2 or of transformers, or a checkpoint of openai-whisper.
        taken: Other names that are in use, beside those of the catalogue.
        say: Called with what is being done.

    Returns:
        The folder.

    Raises:
        InvalidRequest: The name cannot be used, or the model does not work. Nothing is left behind.
    """
    folder = store.directory / name
    _check_name(name, folder, taken)
    with alone(folder) as part:
        if folder.exists():
            raise InvalidRequest(f"there is a {name!r} in {folder.parent} already")
        part.mkdir()
        say(f"taking {source.name}")
        try:
            _take(source, part)
            _complete(part)
        except NotConvertible as error:
            raise InvalidRequest(str(error)) from error
        except ImportError as error:
            raise InvalidRequest(
                f"to convert {source.name} takes libraries that are not here ({error}); install "
                "the extra `whisper`"
            ) from error
        if lacks := CTranslate2Files(name).missing(part):
            raise InvalidRequest(f"{source} lacks {', '.join(lacks)}")
        say("trying it on a second of sound")
        own = _try_out(part, source)
        marks = {path.relative_to(part).as_posix(): mark(path) for path in own_files(part)}
        revision = marks[WEIGHTS_FILE].sha256[:12]
        write_manifest(part, Manifest(name, revision, marks, source="added by hand", own=own))
        part.replace(folder)
    return folder


def _check_name(name: str, folder: Path, taken: Collection[str]) -> None:
    if (
        not may_be_own(name)
        or name in taken
        or name in (LIGHT, *PIPELINES)
        or (SHIPPED / name).exists()
    ):
        raise InvalidRequest(
            f"{name[:64]!r} cannot be the name of a model of your own: it has to be of letters, "
            "digits, dots, dashes and underscores, and to mean no other model"
        )
    if folder.exists():
        raise InvalidRequest(
            f"there is a {name!r} in {folder.parent} already; `./longhand models rm {name}` "
            "removes it"
        )


def _take(source: Path, part: Path) -> None:
    """Copy a model of CTranslate2, or convert one of another form to it."""
    if (source / WEIGHTS_FILE).is_file():
        for pattern in _TAKEN_OVER:
            for path in source.glob(pattern):
                shutil.copyfile(path, part / path.name)
    elif source.is_file() and source.suffix == ".pt":
        from worker.models.conversion.to_ctranslate2 import convert_checkpoint

        convert_checkpoint(source, part)
    elif any(source.glob("*.safetensors")):
        from worker.models.conversion.to_ctranslate2 import convert_transformers

        convert_transformers(source, part)
    else:
        raise InvalidRequest(
            f"{source} is no model: it is neither a folder with {WEIGHTS_FILE}, nor one with "
            "safetensors, nor a checkpoint `.pt`"
        )


def _complete(part: Path) -> None:
    """Write how many rows the spectrogram has, if it is not 80 and no file says so."""
    weights, preprocessor = part / WEIGHTS_FILE, part / PREPROCESSOR_FILE
    if not preprocessor.exists():
        try:
            n_mels = read_variables(weights)["encoder/conv1/weight"].shape[1]
        except KeyError as error:
            raise NotConvertible(f"{WEIGHTS_FILE} is no Whisper: it has no {error}") from error
        if n_mels != _USUAL_MELS:
            preprocessor.write_text(json.dumps({"feature_size": int(n_mels)}), encoding="utf-8")


def _try_out(part: Path, source: Path) -> dict[str, bool]:
    """
    Transcribe a second of faint noise.

    Returns:
        What the model can do, by the fields of `ModelEntry`.

    Raises:
        InvalidRequest: It does not transcribe.
    """
    import numpy as np

    noise = np.random.default_rng(0).normal(0, 1e-3, SAMPLE_RATE_HZ).astype(np.float32)
    try:
        engine = open_engine("faster_whisper", part, device="cpu", compute_type="int8", threads=1)
        engine.transcribe([Chunk(noise, DecodeOptions("en", beam_size=1))])
    except (LonghandError, RuntimeError, ValueError, OSError) as error:
        raise InvalidRequest(f"{source} does not transcribe: {error}") from error
    tokens = (part / TOKENIZER_FILE).read_text(encoding="utf-8")
    return {
        "is_multilingual": engine.is_multilingual,
        "translates": engine.is_multilingual,
        "knows_cantonese": engine.is_multilingual and '"<|yue|>"' in tokens,
    }
