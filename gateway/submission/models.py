"""Which models a request may name now, and whether they can do what it asks."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.reading.fields import did_you_mean
from gateway.services import Services
from gateway.submission.diarizers import check_diarizer
from gateway.submission.engines import refuse_other_engine
from shared.catalogue import DEFAULT_NAMES, MODELS, Catalogue, ModelEntry
from shared.errors import InvalidRequest, ModelNotFound
from shared.request import TranscriptionRequest
from shared.workers import WorkerRecord, known_models, own_models


def offered_names(here: Services) -> list[str]:
    """
    Names of the models that live workers can run; while no worker is live, of all that we know.

    The operator's own names are among them. Names of repositories, and names that stand for the
    default, may be sent but are not listed.
    """
    catalogue, live = here.settings.catalogue, here.workers.live()
    known = known_models(live)
    usable = {name for name in known if can_run(name, live)}
    return [
        name
        for name in catalogue.names(own_models(live))
        if "/" not in name
        and name not in DEFAULT_NAMES
        and catalogue.resolve(name, known) in usable
    ]


def is_offered(here: Services, name: str) -> bool:
    """Whether a request may send this name of a model now."""
    live = here.workers.live()
    model = here.settings.catalogue.resolve(name, known_models(live))
    return model is not None and can_run(model, live)


def offered_or_none(here: Services, names: Iterable[str], *, theirs: re.Pattern[str]) -> str | None:
    """
    The first of some names that a request may send now; None to take the default.

    Args:
        theirs: Names of models that only another service has. Its clients always send one.

    Raises:
        ModelNotFound: A name is neither here nor in `theirs`, and `LONGHAND_STRICT_MODELS` is set.
    """
    unknown = ""
    for name in names:
        if is_offered(here, name):
            return name
        if not theirs.fullmatch(name):
            unknown = unknown or name
    if unknown and here.settings.strict_models:
        raise ModelNotFound(
            f"model {unknown[:200]!r} is not known; GET /models lists those that are", param="model"
        )
    return None


def check_model(
    request: TranscriptionRequest, catalogue: Catalogue, live: list[WorkerRecord]
) -> None:
    """
    Refuse a request that no live worker can do with its model and its diarization model.

    While no worker is live every known model is accepted: the job waits for a worker.

    Raises:
        EngineNotAvailable: The model is one of an engine that Longhand does not have.
        InvalidRequest: The model cannot translate, or does not know the language.
        ModelNotFound: The model is unknown, or no live worker can run it or diarize.
    """
    known = known_models(live)
    name = catalogue.resolve(request.model, known)
    if name is None:
        refuse_other_engine(request.model, live)
        hint = did_you_mean(request.model or "", catalogue.names(own_models(live)))
        hint = hint or "GET /models lists those that are"
        raise ModelNotFound(f"model {request.model!r} is not known; {hint}", param="model")
    if not can_run(name, live):
        there = sorted({model for worker in live for model in worker.models})
        raise ModelNotFound(
            f"no running worker has the model {name!r}, and none may download it; "
            f"they have {', '.join(there) or 'none'}",
            param="model",
        )
    entry = known.get(name, MODELS[name])
    if request.task == "translate" and not entry.translates:
        able = [m for m, other in known.items() if other.translates and can_run(m, live)]
        raise InvalidRequest(
            f"task is 'translate'; model {name!r} can only transcribe; "
            f"those that translate: {', '.join(able) or 'none here'}",
            param="task",
        )
    _check_language(request.language, entry)
    check_diarizer(request, entry, live)


def _check_language(language: str | None, entry: ModelEntry) -> None:
    if not entry.is_multilingual and language not in (None, "en"):
        raise InvalidRequest(
            f"language is {language!r}; model {entry.name!r} knows English alone", param="language"
        )
    if language == "yue" and not entry.knows_cantonese:
        raise InvalidRequest(
            f"language is 'yue'; model {entry.name!r} does not know Cantonese, large-v3 and turbo "
            "do",
            param="language",
        )


def can_run(model: str, live: list[WorkerRecord]) -> bool:
    """Whether a live worker can run a model; True while no worker is live."""
    return not live or any(worker.can_run(model) for worker in live)
