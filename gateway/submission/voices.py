"""Voices of known speakers: short recordings, which are sent as text in fields of the form."""

from __future__ import annotations

import base64

from gateway.services import Services
from shared.errors import AudioUnreadable, InvalidRequest
from shared.records import job_prefix
from shared.request import TranscriptionRequest

_FIELD = "known_speaker_references"
_SHORTEST_S, _LONGEST_S = 1.0, 30.0


def store_voices(
    services: Services, job_id: str, request: TranscriptionRequest
) -> TranscriptionRequest:
    """
    Store the recordings of known speakers beside the job's audio.

    Returns:
        The request with storage keys in place of the recordings.

    Raises:
        InvalidRequest: One of them is not a `data:` URL, not audio, too short or too long.
    """
    if not request.known_speaker_references:
        return request
    keys = []
    for n, (name, url) in enumerate(
        zip(request.known_speaker_names, request.known_speaker_references, strict=True)
    ):
        key = f"{job_prefix(job_id)}/voices/{n}"
        with services.storage.create(key) as out:
            out.write(_read_data_url(name, url))
        _check(services, name, key)
        keys.append(key)
    return request.model_copy(update={_FIELD: tuple(keys)})


def _read_data_url(name: str, url: str) -> bytes:
    """The bytes of a base64 `data:` URL (RFC 2397)."""
    head, comma, body = url.strip().partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        raise InvalidRequest(
            f"the voice of {name!r} is no recording; send it as data:audio/wav;base64,…",
            param=_FIELD,
        )
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as error:
        raise InvalidRequest(f"the voice of {name!r} is not base64", param=_FIELD) from error


def _check(services: Services, name: str, key: str) -> None:
    try:
        with services.storage.open_local(key) as path:
            duration_s = services.probe(path).duration_s
    except AudioUnreadable as error:
        raise InvalidRequest(
            f"the voice of {name!r} cannot be read: {error}", param=_FIELD
        ) from error
    if not _SHORTEST_S <= duration_s <= _LONGEST_S:
        raise InvalidRequest(
            f"the voice of {name!r} is {duration_s:.1f} s long; it must be from {_SHORTEST_S:g} "
            f"to {_LONGEST_S:g} s, best 2 to 10",
            param=_FIELD,
        )
