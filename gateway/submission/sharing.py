"""What makes two requests the same: for one run of both, and for one Idempotency-Key."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flask import request

from gateway.services import Services
from gateway.submission.options import JobOptions
from shared.catalogue import Catalogue
from shared.errors import InvalidRequest
from shared.generations import Generations
from shared.request import TranscriptionRequest
from shared.workers import WorkerRecord, own_models

KEY_HEADER = "Idempotency-Key"
MAX_KEY_CHARACTERS = 255

_NOT_OF_THE_RESULT = {"timestamps"}
"""Options by which a result is answered, and not made."""


def present_key(owner: str) -> str | None:
    """
    The Idempotency-Key of the present request as it is stored: nobody meets another's.

    Raises:
        InvalidRequest: It is empty, too long or holds what cannot be printed.
    """
    key = request.headers.get(KEY_HEADER)
    if key is None:
        return None
    if not 0 < len(key) <= MAX_KEY_CHARACTERS or not (key.isascii() and key.isprintable()):
        raise InvalidRequest(
            f"{KEY_HEADER} has to be 1 to {MAX_KEY_CHARACTERS} printable ASCII characters",
            param=KEY_HEADER,
        )
    return digest(owner, key)


def fingerprint(sha256: str, options: TranscriptionRequest, job: JobOptions) -> str:
    """
    What has to be equal of two requests with one Idempotency-Key: path, audio and every option.

    Args:
        sha256: Of the audio.
        options: As they were sent, recordings of voices among them.
    """
    return digest(request.path, sha256, _canonical(options), job.model_dump(mode="json"))


def cache_key(
    here: Services,
    owner: str,
    sha256: str,
    options: TranscriptionRequest,
    live: list[WorkerRecord],
) -> str:
    """
    Equal for requests that have the same result.

    Args:
        sha256: Of the audio.
        options: As they were sent, recordings of voices among them.
        live: Workers, which say what revision of the model they have.
    """
    canonical = _canonical(options)
    for name in _NOT_OF_THE_RESULT:
        canonical.pop(name, None)
    model = resolve_model(here.settings.catalogue, options, live)
    canonical["model"] = model
    # The weights that live workers have; with none alive nobody knows.
    revisions = sorted({worker.revisions.get(model, "") for worker in live} - {""})
    scope = "" if here.settings.cache_scope == "site" else owner
    return digest(scope, sha256, canonical, revisions, Generations(here.redis).current())


def resolve_model(
    catalogue: Catalogue, options: TranscriptionRequest, live: list[WorkerRecord]
) -> str:
    """The model a request that was found possible means."""
    model = catalogue.resolve(options.model, own_models(live))
    assert model is not None
    return model


def digest(*parts: Any) -> str:
    """
    One name for several values.

    >>> digest("a", "bc") == digest("ab", "c")
    False
    """
    written = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()


def _canonical(options: TranscriptionRequest) -> dict[str, Any]:
    """Options as they are compared; of a voice its hash, which is shorter."""
    values = options.model_dump(mode="json")
    voices = options.known_speaker_references
    values["known_speaker_references"] = [
        hashlib.sha256(voice.encode()).hexdigest() for voice in voices
    ]
    return values
