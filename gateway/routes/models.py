"""`GET /models`: which models may be asked for now."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from gateway.services import services
from gateway.submission import can_run
from shared.catalogue import MODELS

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
    aliases = catalogue.aliases or {}
    usable = [name for name in MODELS if can_run(name, live)]
    own_names = [name for name in aliases if catalogue.resolve(name) in usable]
    data = [
        {
            "name": name,
            "aliases": [alias for alias in aliases if catalogue.resolve(alias) == name],
            "is_multilingual": MODELS[name].is_multilingual,
            "translates": MODELS[name].translates,
            "present": sum(name in worker.models for worker in live),
            "loaded": sum(name in worker.loaded for worker in live),
        }
        for name in usable
    ]
    return jsonify(
        success=True,
        models=list(dict.fromkeys([*usable, *own_names])),
        default=catalogue.resolve(None),
        data=data,
    )
