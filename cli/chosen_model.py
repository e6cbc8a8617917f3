"""Which model a stack of this checkout runs: a real one if possible, else the phrase-book."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TextIO

import click

from cli.settings import read_settings
from shared.catalogue import MODELS
from shared.phrase_book import PHRASE_BOOK

if TYPE_CHECKING:
    from worker.models.whisper_models import WhisperModels
    from worker.settings import WorkerSettings

WANTED = "base"
"""Small enough to fetch while somebody waits, and good enough to show what Whisper does."""

_DEFAULT = "LONGHAND_DEFAULT_MODEL"


@dataclass(frozen=True)
class ChosenModel:
    """
    The model of a stack.

    Attributes:
        env: Settings for the stack.
        sentence: What does not work, or why this is not the model that was wanted; "" if all is
            well.
    """

    name: str
    env: Mapping[str, str]
    sentence: str = ""

    @property
    def is_phrase_book(self) -> bool:
        """Whether it is the demo model that ships with Longhand."""
        return self.name == PHRASE_BOOK


def choose_model() -> ChosenModel:
    """
    Choose the model of a stack, and fetch it if it is not here; problems are printed on stderr.

    It is the operator's, or `base` if they named none. If `base` cannot be fetched, the phrase-book
    replaces it; no other model is replaced.

    Raises:
        ClickException: A setting is wrong.
    """
    from worker.settings import WorkerSettings

    chosen = _choose(read_settings(WorkerSettings), sys.stderr)
    if chosen.sentence:
        click.echo(chosen.sentence, err=True)
    return chosen


def _choose(read: WorkerSettings, out: TextIO) -> ChosenModel:
    from worker.models.whisper_models import WhisperModels
    from worker.settings import WorkerSettings

    is_named = "default_model" in read.model_fields_set
    if not is_named:
        read = WorkerSettings(default_model=WANTED)
    name = read.catalogue.resolve(None)
    assert name is not None  # else the settings would not be valid
    chosen = ChosenModel(name, _settings_of(read))
    files = WhisperModels.of(read)
    why = _why_not_here(files, read, name, out)
    if not why:
        return replace(chosen, sentence=_why_no_speakers(files, read, name, out))
    if is_named:
        return replace(chosen, sentence=f"{why}; jobs that name no model will wait or fail")
    return ChosenModel(
        PHRASE_BOOK,
        {**chosen.env, _DEFAULT: PHRASE_BOOK},
        f"{why}: going on with the bundled phrase-book, which knows a few made-up sentences and "
        f"no real speech",
    )


def _why_no_speakers(files: WhisperModels, read: WorkerSettings, name: str, out: TextIO) -> str:
    """Fetch the diarization model, unless that needs a token; see `_why_not_here`."""
    from worker.models.diarization_files import LIGHT, diarizer_name

    if diarizer_name(MODELS[name], read.diarizer, None) != LIGHT:
        return ""
    why = _why_not_here(files, read, LIGHT, out, kind="diarization model")
    return f"{why}: without it, it is not known who speaks" if why else ""


def _settings_of(read: WorkerSettings) -> dict[str, str]:
    return {
        _DEFAULT: read.default_model,
        "LONGHAND_MODELS_DIR": str(read.models_dir.absolute()),
        "LONGHAND_DOWNLOADS": str(read.downloads).lower(),
    }


def _why_not_here(
    files: WhisperModels, read: WorkerSettings, name: str, out: TextIO, *, kind: str = "model"
) -> str:
    """Fetch what is missing of a model; returns "", or a sentence that says why that failed."""
    from cli.pulling import pull_shown
    from shared.errors import ModelNotFound
    from worker.models.fetching import NotFetched
    from worker.models.listing import named_files
    from worker.settings import quieten_libraries

    if name in files.local_revisions():
        return ""
    quieten_libraries()
    try:
        wanted = named_files(name, files, may_be_new=True)
        if files.store.find(wanted):
            return ""
        if not read.downloads:
            return f"the {kind} {name} is not here, and LONGHAND_DOWNLOADS is off"
        pull_shown(files.store, wanted, out)
    except NotFetched as error:
        reasons = "; ".join(error.failures) or "no source has it"
        return f"the {kind} {name} could not be fetched ({reasons})"
    except ModelNotFound as error:
        return str(error)
    return ""
