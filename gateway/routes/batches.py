"""`POST /transcribe/batch`: several recordings in one request, a job for each."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, Field

from gateway.access.auth import present_owner
from gateway.answering.batches import batch_value
from gateway.answering.shapes.jobs import BatchAnswer
from gateway.openapi.documented import Answer, Body, documented
from gateway.reading.bodies import read_fields
from gateway.reading.fields import JobOptions
from gateway.reading.parse import fields_and_lists
from gateway.routes.transcribe import ERRORS, KEY
from gateway.services import Services, services
from gateway.submission.batches import Batch
from gateway.submission.intake import Intake, Item, copy_files
from gateway.submission.receiving import read_submission
from gateway.submission.sharing import KEY_HEADER, digest, fingerprint, present_key
from gateway.submission.submit import Submission, check_model, fill_in, make_entry
from gateway.submission.voices import store_voices
from shared import errors
from shared.errors import InvalidRequest
from shared.records import new_job_id
from shared.request import TranscriptionRequest
from shared.wire import LISTS
from shared.workers import WorkerRecord

blueprint = Blueprint("batches", __name__)

_LISTS = LISTS | {"urls"}
_log = logging.getLogger(__name__)


class Urls(BaseModel):
    """Recordings that are elsewhere."""

    urls: list[str] = Field(default_factory=list, description="URLs of recordings (`urls[]`).")


class UrlsAlone(BaseModel):
    """Recordings that are elsewhere, where no file can be sent beside them."""

    urls: list[str] = Field(min_length=1, description="URLs of recordings.")


@dataclass(frozen=True)
class _Received:
    """Every recording of a batch, and the options of all of them: as sent, and as meant."""

    items: list[Item]
    submission: Submission
    options: TranscriptionRequest
    live: list[WorkerRecord]


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
    intake = Intake(here)
    try:
        batch, is_new = _submit(here, _receive(here, intake))
    except BaseException:
        intake.remove()
        raise
    if not is_new:
        intake.remove()
    answer = jsonify(batch_value(batch, here.batches.records(batch)))
    answer.status_code = 202
    answer.headers["Location"] = f"/jobs/{batch.id}"
    return answer


def _receive(here: Services, intake: Intake) -> _Received:
    present_key(present_owner())  # before long bodies are read in vain
    live = here.workers.live()
    fields: dict[str, Any]
    if request.mimetype == "multipart/form-data":
        boundary = request.mimetype_params.get("boundary", "")
        if not boundary:
            raise InvalidRequest("the Content-Type names no multipart boundary")
        form = copy_files(request.stream, boundary, intake)
        fields = dict(fields_and_lists(request.args, form, lists=_LISTS))
    else:
        fields = read_fields(lists=_LISTS)
    urls = _read_urls(fields.pop("urls", []))
    if "wait" in fields:
        raise InvalidRequest(
            "nobody waits for a batch; ask GET /jobs/{job_id}?wait=…", param="wait"
        )
    submission = read_submission(here, fields, "audio")
    options = fill_in(here, submission.request)
    check_model(options, here.settings.catalogue, live)
    for url in urls:
        with intake.open(url) as (writer, names):
            names.append(here.downloads.fetch(url, writer))
    if not intake.items:
        raise InvalidRequest(
            "no audio was sent; send files as 'files[]' (curl: -F 'files[]=@talk.mp3'), or 'urls'",
            param="files",
        )
    return _Received(intake.check(options), submission, options, live)


def _read_urls(value: object) -> list[str]:
    urls = []
    for url in value if isinstance(value, list) else [value]:
        if not isinstance(url, str):
            raise InvalidRequest("urls has to be a list of URLs", param="urls")
        urls.append(url.strip())
    return [url for url in urls if url]


def _submit(here: Services, received: _Received) -> tuple[Batch, bool]:
    """Make every job of a batch, or none; the batch, and whether it is not one made before."""
    owner, batch_id = present_owner(), new_job_id()
    submission, items = received.submission, received.items
    job = submission.job
    children = tuple(item.job_id for item in items)
    batch = Batch(
        id=batch_id, owner=owner, label=job.label, created_at=time.time(), children=children
    )
    hashes = digest(*(item.audio.sha256 for item in items))
    key, same = present_key(owner), fingerprint(hashes, submission.request, job)
    here.batches.write(batch)
    try:
        before = here.batches.claim(batch, key, same) if key else batch
        if before.id != batch.id:
            here.batches.remove(batch)
            return before, False
        for item in items:
            _submit_one(here, received, item, batch_id)
        if key:
            here.batches.confirm(batch, key, same)
    except BaseException:
        here.batches.delete(batch)
        raise
    _log.info("accepted batch %s: %d recordings", batch_id, len(items))
    return batch, True


def _submit_one(here: Services, received: _Received, item: Item, batch_id: str) -> None:
    entry = make_entry(here, received.submission, received.options, item.audio, received.live)
    shared = {"batch": batch_id, "idempotency_key": None, "fingerprint": ""}
    options = store_voices(here, item.job_id, received.options)
    here.jobs.submit(item.job_id, options, item.audio, entry=entry.model_copy(update=shared))
