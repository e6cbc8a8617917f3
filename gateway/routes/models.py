"""`/models` lists the models; `/reload` changes the default one, or has files read again."""

from __future__ import annotations

import json

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, Field

from gateway.answering.condition import notices
from gateway.answering.shapes.models import Reloaded, UsableModel, UsableModels
from gateway.openapi.documented import Answer, Body, documented
from gateway.reading.fields import read_model, refuse_unknown
from gateway.services import services
from gateway.submission.default_model import choose_default, default_model
from gateway.submission.models import can_run, check_model, offered_names
from shared.errors import Busy, EngineNotAvailable, InvalidRequest, ModelNotFound
from shared.generations import Generations
from shared.request import TranscriptionRequest
from shared.workers import known_models

blueprint = Blueprint("models", __name__)

_MAX_RELOAD_BYTES = 10_000


class Reload(BaseModel):
    """The body of a reload."""

    model_name: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Default model from now on; if omitted, files are read again.",
    )


@blueprint.get("/models")
@documented(tag="Models", answers={200: Answer(UsableModels)}, errors=(Busy,))
def list_models() -> Response:
    """
    List the models that a request may name now.

    Without a running worker these are all that we know: a job may wait for a worker.
    """
    here = services()
    catalogue = here.settings.catalogue
    live = here.workers.live()
    known = known_models(live)
    names = offered_names(here)
    meant = {name: catalogue.resolve(name, known) for name in names}
    data = [
        UsableModel(
            name=name,
            aliases=[alias for alias in names if meant[alias] == name != alias],
            is_multilingual=entry.is_multilingual,
            translates=entry.translates,
            present=sum(name in worker.models for worker in live),
            loaded=sum(name in worker.loaded for worker in live),
            warnings=notices(name),
        )
        for name, entry in known.items()
        if can_run(name, live)
    ]
    shown = UsableModels(success=True, models=names, default=default_model(here), data=data)
    return jsonify(shown.value())


@blueprint.post("/reload")
@documented(
    tag="Models",
    access="admin",
    body=Body(models=(Reload,), media_types=("application/json",), is_required=False),
    answers={200: Answer(Reloaded)},
    errors=(InvalidRequest, EngineNotAvailable, ModelNotFound, Busy),
)
def reload_models() -> Response:
    """
    Change the default model, or have every worker read its models' files again.

    With `model_name`, every gateway uses that model from the next request on. Without it, workers
    read the files of each model again before their next job with it.
    """
    here = services()
    wanted = _read_reload()
    if wanted.model_name is None:
        return jsonify(Reloaded(success=True, generation=Generations(here.redis).advance()).value())
    asked, live = TranscriptionRequest(model=wanted.model_name), here.workers.live()
    check_model(asked, here.settings.catalogue, live)
    model = here.settings.catalogue.resolve(wanted.model_name, known_models(live))
    assert model is not None
    choose_default(here, model)
    message = f"Model {wanted.model_name} loaded"
    return jsonify(Reloaded(success=True, message=message, model=model).value())


def _read_reload() -> Reload:
    if request.args:
        raise InvalidRequest('a reload takes no query; send JSON such as {"model_name": "large"}')
    body = request.stream.read(_MAX_RELOAD_BYTES)
    try:
        fields = json.loads(body.strip() or b"{}")
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise InvalidRequest(
            'a reload takes a JSON object such as {"model_name": "large"}, or none'
        )
    refuse_unknown(fields, known=Reload.model_fields)
    return read_model(Reload, fields)
