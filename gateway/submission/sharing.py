"""When two requests are the same: they share one run, or one Idempotency-Key stands for both."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flask import request

from gateway.services import Services
from gateway.submission.options import JobOptions
from shared.errors import InvalidRequest
from shared.generations import Generations
from shared.request import TranscriptionRequest
from shared.workers import WorkerRecord, own_models

KEY_HEADER = "Idempotency-Key"
MAX_KEY_CHARACTERS = 255

_NOT_OF_THE_RESULT = {"timestamps"}
"""Options that change how a result is answered, but not the result."""


def present_key(owner: str) -> str | None:
    """
    The Idempotency-Key of the present request, hashed with its owner; None if it has none.

    Raises:
        InvalidRequest: The key is empty, too long, or has characters that cannot be printed.
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
    A hash that two requests with one Idempotency-Key must have in common.

    It is made of the path, the audio and every option.

    Args:
        sha256: The hash of the audio.
        options: As they were sent, with the recordings of voices.
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
    A hash that is equal for requests that have the same result.

    Args:
        sha256: The hash of the audio.
        options: Those of the job, with the recordings of voices.
        live: The live workers, whose revisions of the model count.
    """
    canonical = _canonical(options)
    for name in _NOT_OF_THE_RESULT:
        canonical.pop(name, None)
    model = here.settings.catalogue.resolve(options.model, own_models(live))
    assert model is not None  # by `check_model`
    canonical["model"] = model
    # While no worker is live the revision is not known.
    revisions = sorted({worker.revisions.get(model, "") for worker in live} - {""})
    scope = "" if here.settings.cache_scope == "site" else owner
    return digest(scope, sha256, canonical, revisions, Generations(here.redis).current())


def digest(*parts: Any) -> str:
    """
    One hash of several values.

    >>> digest("a", "bc") == digest("ab", "c")
    False
    """
    written = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()


def _canonical(options: TranscriptionRequest) -> dict[str, Any]:
    """Options as they are compared, with a hash in place of each recording of a voice."""
    values = options.model_dump(mode="json")
    voices = options.known_speaker_references
    values["known_speaker_references"] = [
        hashlib.sha256(voice.encode()).hexdigest() for voice in voices
    ]
    return values
