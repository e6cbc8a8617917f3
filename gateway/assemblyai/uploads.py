"""
Audio that is sent first and transcribed later: `/v2/upload`, and its URL in `/v2/transcript`.

It is kept as an upload in parts (`gateway.reading.resumable`): only its owner can use it, it counts
as one of their uploads, and it expires. When the first transcript is made of it, its bytes become
the job's. The URL then leads to the job's audio until the upload would have expired, so that
further transcripts can be made of it.
"""

from __future__ import annotations

import re
from shutil import copyfileobj
from typing import Any
from urllib.parse import urlsplit

from flask import request
from werkzeug.wsgi import LimitedStream

from gateway.reading.audio import NO_BODY, AudioWriter
from gateway.reading.resumable import MOST_PART_BYTES, Upload
from gateway.services import Services
from shared.errors import AudioGone, InvalidRequest, JobNotFound, UploadNotFound
from shared.keys import UPLOAD_TAKEN
from shared.records import JobRecord
from shared.storage import KeyNotFound

FIELD = "audio_url"

_PATH = re.compile(r"/v2/upload/([0-9a-f]{32})")


def keep_upload(here: Services, owner: str) -> Upload:
    """
    Store the present request's body as an upload.

    Raises:
        InvalidRequest: There is no body.
        AudioTooLarge: It is over the limit.
        TooManyRequests: The owner has too many uploads.
    """
    n_bytes = request.content_length or 0  # waitress sets it for a chunked body too
    if not n_bytes:
        raise InvalidRequest(NO_BODY)
    upload = here.uploads.create(owner, n_bytes, "", "audio")
    try:
        while upload.offset < n_bytes:
            n_next = min(MOST_PART_BYTES, n_bytes - upload.offset)
            part: Any = LimitedStream(request.stream, n_next)
            upload = here.uploads.append(upload, upload.offset, part, checksum=None)
    except BaseException:
        here.uploads.remove(upload)
        raise
    return upload


def upload_in(url: str) -> str | None:
    """
    The id of the upload whose URL this is; None if it is another URL.

    The host is not compared: a site may be reached by several names.

    >>> upload_in("http://here:8499/v2/upload/" + 32 * "0") == 32 * "0"
    True
    >>> upload_in("https://example.org/talk.mp3")
    """
    try:
        found = _PATH.fullmatch(urlsplit(url).path)
    except ValueError:
        return None
    return found[1] if found else None


def copy_upload(here: Services, upload_id: str, owner: str, writer: AudioWriter) -> Upload | None:
    """
    Write the audio of an upload.

    Returns:
        The upload; None if a transcript was made of it before.

    Raises:
        UploadNotFound: There is none, it has expired, or it is another's.
        AudioGone: The audio of the job that was made of it was removed after its time.
    """
    taken: Any = here.redis.get(UPLOAD_TAKEN.of(upload_id))
    if taken is None:
        upload = here.uploads.finished(upload_id, owner=owner)
        here.uploads.copy(upload, writer)
        return upload
    try:
        record = here.jobs.get(taken.decode(), owner=owner)
    except JobNotFound:
        raise UploadNotFound(
            f"there is no upload {upload_id!r}; the transcript that was made of it is deleted"
        ) from None
    _copy_audio(here, record, writer)
    return None


def _copy_audio(here: Services, record: JobRecord, writer: AudioWriter) -> None:
    try:
        with here.storage.open_local(record.audio.key) as path, path.open("rb") as audio:
            copyfileobj(audio, writer)
    except KeyNotFound:
        raise AudioGone("the audio was removed after its time; send it again") from None


def take_upload(here: Services, upload: Upload, record: JobRecord) -> None:
    """Let an upload's URL lead to the job that was made of it, and remove the upload."""
    here.redis.set(UPLOAD_TAKEN.of(upload.id), record.id, ex=here.settings.upload_ttl_s)
    here.uploads.remove(upload)
