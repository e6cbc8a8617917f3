"""`POST /transcribe/batch`: several recordings in one request, and a job for each."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, Field

from gateway.access.auth import present_owner
from gateway.answering.batches import batch_value
from gateway.answering.shapes.jobs import BatchAnswer
from gateway.openapi.documented import Answer, Body, documented
from gateway.reading.audio import clean_filename
from gateway.reading.bodies import read_fields
from gateway.reading.fields import fields_and_lists
from gateway.reading.forms import text_for_file
from gateway.reading.multipart import Part, TextFields, read_parts
from gateway.routes.transcribe import ERRORS, KEY
from gateway.services import Services, services
from gateway.submission.batches import Batch
from gateway.submission.options import JobOptions, Submission, read_submission
from gateway.submission.sharing import KEY_HEADER, digest, fingerprint, present_key
from gateway.submission.submit import IncomingAudio, make_job, site_options
from shared import errors
from shared.errors import AudioError, AudioUnreadable, InvalidRequest, LonghandError
from shared.records import new_job_id
from shared.request import TranscriptionRequest
from shared.wire import LISTS
from shared.workers import WorkerRecord

blueprint = Blueprint("batches", __name__)

_MOST_RECORDINGS = 100
_FILE_FIELDS = ("files", "files[]", "file")

_MOST_FIELDS = 100
_LISTS = LISTS | {"urls"}
_log = logging.getLogger(__name__)


class Urls(BaseModel):
    """Recordings that are fetched from URLs."""

    urls: list[str] = Field(default_factory=list, description="URLs of recordings (`urls[]`).")


class UrlsAlone(BaseModel):
    """The same for a JSON body, which holds no files."""

    urls: list[str] = Field(min_length=1, description="URLs of recordings.")


@blueprint.post("/transcribe/batch")
@documented(
    tag="transcribe",
    query=(Urls, TranscriptionRequest, JobOptions),
    body=(
        Body(models=(Urls, TranscriptionRequest, JobOptions), files=("files[]",)),
        Body(
            models=(UrlsAlone, TranscriptionRequest, JobOptions),
            media_types=("application/json",),
        ),
    ),
    answers={202: Answer(BatchAnswer, headers={"Location": "Where the batch is found."})},
    errors=(*ERRORS, errors.AudioUnreachable),
    headers={KEY_HEADER: KEY},
)
def transcribe_batch() -> Response:
    """
    Take several recordings, as files and as URLs, and make a job of each.

    All of them have the same options. If one cannot be taken none is, and the error names it.
    """
    here = services()
    present_key(present_owner())  # before a long body is read in vain
    with ExitStack() as held:
        recordings, fields = _receive_files(here, held)
        urls = _read_urls(fields.pop("urls", []))
        if "wait" in fields:
            raise InvalidRequest(
                "nobody waits for a batch; ask GET /jobs/{job_id}?wait=…", param="wait"
            )
        submission, live = read_submission(here, fields), here.workers.live()
        options = site_options(here, submission.request, live)
        for url in urls:
            _refuse_another(recordings)
            recordings.append(_fetch(here, held, url))
        if not recordings:
            raise InvalidRequest(
                "no audio was sent; send files as 'files[]' (curl: -F 'files[]=@talk.mp3'), or "
                "'urls'",
                param="files",
            )
        batch = _submit(here, recordings, submission, options, live)
    answer = jsonify(batch_value(batch, here.batches.records(batch)))
    answer.status_code = 202
    answer.headers["Location"] = f"/jobs/{batch.id}"
    return answer


def _receive_files(here: Services, held: ExitStack) -> tuple[list[IncomingAudio], dict[str, Any]]:
    """
    Store every file of the present request.

    Args:
        held: Keeps the blocks of the recordings open until their jobs are made.

    Returns:
        The recordings, and the other fields of the request.

    Raises:
        InvalidRequest: The form is broken, or a file has a name that is not in `_FILE_FIELDS`.
        AudioError: One of the files cannot be taken; the error names it.
    """
    if request.mimetype != "multipart/form-data":
        return [], read_fields(lists=_LISTS)
    texts = TextFields()
    recordings: list[IncomingAudio] = []
    for part in read_parts(most_parts=_MOST_RECORDINGS + _MOST_FIELDS):
        _check_part(part)
        if part.filename is None:
            texts.read(part)
            continue
        start = next(part.chunks, b"")
        # A browser sends a field without a chosen file as a file without a name or bytes.
        if start or part.filename:
            _refuse_another(recordings)
            recordings.append(_store(here, held, part, start))
    return recordings, dict(fields_and_lists(request.args, texts.values, lists=_LISTS))


def _check_part(part: Part) -> None:
    name = part.name[:64]
    if part.filename is None and name in _FILE_FIELDS:
        raise text_for_file(name)
    if part.filename is not None and name not in _FILE_FIELDS:
        raise InvalidRequest(
            f"field {name!r} is not known as a file; send every recording as 'files[]'", param=name
        )


def _refuse_another(recordings: list[IncomingAudio]) -> None:
    if len(recordings) >= _MOST_RECORDINGS:
        raise InvalidRequest(f"a batch may have {_MOST_RECORDINGS} recordings at most")


def _store(here: Services, held: ExitStack, part: Part, start: bytes) -> IncomingAudio:
    """
    Store a file of the form.

    Args:
        start: Its first bytes, which were read already.
    """
    name = part.filename or "audio"
    with _naming(name):
        incoming = held.enter_context(IncomingAudio(here, field="files"))
        for chunk in chain([start], part.chunks):
            incoming.writer.write(chunk)
        if not incoming.writer.n_bytes:
            raise AudioUnreadable("the file is empty")
        incoming.store(name)
    return incoming


def _fetch(here: Services, held: ExitStack, url: str) -> IncomingAudio:
    """Store what is at a URL."""
    with _naming(url):
        incoming = held.enter_context(IncomingAudio(here, field="files"))
        incoming.store(here.downloads.fetch(url, incoming.writer))
    return incoming


@contextmanager
def _naming(name: str, kind: type[LonghandError] = AudioError) -> Iterator[None]:
    """Put the name of a recording before the message of its error."""
    try:
        yield
    except kind as error:
        message = f"{clean_filename(name)!r}: {error.message}"
        raise type(error)(message, param=error.param) from error


def _read_urls(value: object) -> list[str]:
    urls = []
    for url in value if isinstance(value, list) else [value]:
        if not isinstance(url, str):
            raise InvalidRequest("urls has to be a list of URLs", param="urls")
        urls.append(url.strip())
    return [url for url in urls if url]


def _submit(
    here: Services,
    recordings: list[IncomingAudio],
    submission: Submission,
    options: TranscriptionRequest,
    live: list[WorkerRecord],
) -> Batch:
    """
    Make a batch with a job for each recording. If one cannot be made, none is.

    Returns:
        The batch; an older one if the same Idempotency-Key made it before.
    """
    hashes = []
    for incoming in recordings:
        with _naming(incoming.filename, LonghandError):
            hashes.append(incoming.stored_audio(options).sha256)
    owner, job = present_owner(), submission.job
    batch = Batch(
        id=new_job_id(),
        owner=owner,
        label=job.label,
        created_at=time.time(),
        children=tuple(incoming.job_id for incoming in recordings),
    )
    key, same = present_key(owner), fingerprint(digest(*hashes), submission.request, job)
    here.batches.write(batch)
    try:
        before = here.batches.claim(batch, key, same) if key else batch
        if before.id != batch.id:
            here.batches.remove(batch)
            return before
        for incoming in recordings:
            make_job(here, incoming, submission, options, live, batch=batch.id)
        if key:
            here.batches.confirm(batch, key, same)
    except BaseException:
        here.batches.delete(batch)
        raise
    _log.info("accepted batch %s: %d recordings", batch.id, len(recordings))
    return batch
