"""`/jobs/{job_id}/audio`: the audio that was sent, whole or in parts."""

from __future__ import annotations

import re
from pathlib import Path

from flask import Blueprint, Response, request
from pydantic import BaseModel, Field
from werkzeug.utils import send_file

from gateway.access.auth import present_owner
from gateway.answering.media_types import N_BYTES_LOOKED_AT, media_type_of
from gateway.errors import ErrorAnswer
from gateway.openapi.documented import Answer, documented
from gateway.reading.fields import read_query
from gateway.services import services
from shared import errors
from shared.errors import AudioGone
from shared.records import JobRecord
from shared.storage import KeyNotFound

blueprint = Blueprint("audio", __name__)

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII | re.IGNORECASE)
_MEDIA_TYPES = ("audio/*", "video/*", "application/octet-stream")


class AudioQuery(BaseModel):
    """The key in the query, for players that can send no header."""

    token: str | None = Field(None, description="An API key, only for `<audio src>`.")


@blueprint.get("/jobs/<job_id>/audio")
@documented(
    tag="jobs",
    query=(AudioQuery,),
    answers={
        200: Answer(media_types=_MEDIA_TYPES, description="The whole audio."),
        206: Answer(media_types=_MEDIA_TYPES, description="The part that was asked for."),
        304: Answer(media_types=(), description="The caller has it already."),
        416: Answer(ErrorAnswer, description="There is no such part."),
    },
    errors=(errors.InvalidRequest, errors.JobNotFound, errors.AudioGone),
    headers={
        "Range": "The part that is wanted, as `bytes=0-99`, `bytes=100-` or `bytes=-100`; others "
        "are ignored.",
        "If-Range": "The ETag that the audio must have for a part.",
    },
)
def read_audio(job_id: str) -> Response:
    """Give the audio of a job as it was sent, or a part of it."""
    read_query(AudioQuery)
    here = services()
    record = here.jobs.get(job_id, owner=present_owner())
    if record.audio_removed_at is None:
        try:
            with here.storage.open_local(record.audio.key) as path:
                return _answer_file(path, record)
        except (KeyNotFound, FileNotFoundError):
            pass
    raise AudioGone(
        "the audio of this job was removed after its time (LONGHAND_KEEP_AUDIO_S)", job_id=record.id
    )


def _answer_file(path: Path, record: JobRecord) -> Response:
    """Answer with the file, which stays open while it is sent and may be deleted meanwhile."""
    with path.open("rb") as file:
        media_type = media_type_of(file.read(N_BYTES_LOOKED_AT))
    environ = dict(request.environ)
    wanted = _wanted_part(environ.pop("HTTP_RANGE", ""), record.audio.n_bytes)
    if wanted is not None:
        environ["HTTP_RANGE"] = wanted
    answer = send_file(
        path,
        environ,
        mimetype=media_type,
        download_name=record.audio.filename,
        conditional=True,
        etag=record.audio.sha256,
        last_modified=record.created_at,
        response_class=Response,
    )
    assert isinstance(answer, Response)
    answer.headers["Accept-Ranges"] = "bytes"
    answer.headers["Cache-Control"] = "private, no-cache"
    if request.method == "HEAD" or answer.status_code == 304:
        answer.close()  # it has no body, so nothing else would close the file
    return answer


def _wanted_part(header: str, n_bytes: int) -> str | None:
    """
    A Range header as werkzeug understands it; None if it is to be ignored.

    We ignore other units, invalid ranges and several ranges at once, as RFC 9110, 14.2 allows. A
    suffix longer than the file means all of it (14.1.2).

    >>> _wanted_part("Bytes=0-99", 500), _wanted_part("bytes=-999", 500)
    ('bytes=0-99', 'bytes=0-')
    >>> _wanted_part("bytes=5-2", 500), _wanted_part("items=0-1", 500)
    (None, None)
    """
    found = _RANGE.fullmatch(header.strip())
    if found is None:
        return None
    first, last = found.groups()
    if first and last and int(first) > int(last):
        return None
    if not first and int(last or 0) > n_bytes:
        return "bytes=0-"
    return f"bytes={first}-{last}" if first or last else None
