"""`/models`: which may be asked for now. `/reload`: read their files anew."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from gateway.services import services
from gateway.submission import can_run
from shared.catalogue import DEFAULT_NAMES, MODELS
from shared.errors import InvalidRequest
from shared.generations import Generations

blueprint = Blueprint("models", __name__)


@blueprint.get("/models")
def list_models() -> Response:
    """
    List the models a request may name now.

    With no live worker that is every model we know: a job may wait for one.
    """
    here = services()
    catalogue = here.settings.catalogue
    live = here.workers.live()
    usable = [name for name in MODELS if can_run(name, live)]
    # Names of repositories and names that mean the default are taken but not advertised.
    names = [name for name in catalogue.names() if "/" not in name and name not in DEFAULT_NAMES]
    meant = {name: catalogue.resolve(name) for name in names}
    data = [
        {
            "name": name,
            "aliases": [alias for alias in names if meant[alias] == name != alias],
            "is_multilingual": MODELS[name].is_multilingual,
            "translates": MODELS[name].translates,
            "present": sum(name in worker.models for worker in live),
            "loaded": sum(name in worker.loaded for worker in live),
        }
        for name in usable
    ]
    return jsonify(
        success=True,
        models=[name for name in names if meant[name] in usable],
        default=catalogue.resolve(None),
        data=data,
    )


@blueprint.post("/reload")
def reload_models() -> Response:
    """Have every worker read a model's files anew before its next job with it."""
    if request.args or request.stream.read(3).strip() not in (b"", b"{}"):
        raise InvalidRequest(
            "a reload takes no fields: every model's files are read anew; which model is to be "
            "used, each request says itself"
        )
    return jsonify(success=True, generation=Generations(services().redis).advance())
