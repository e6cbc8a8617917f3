"""Audio and options become a job, or nothing of them is kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from gateway.auth import present_owner
from gateway.parse import did_you_mean
from gateway.services import Services
from gateway.uploads import AudioWriter, clean_filename
from gateway.voices import store_voices
from shared.catalogue import MODELS, Catalogue
from shared.errors import AudioTooLarge, InvalidRequest, ModelNotFound
from shared.jobs import JobRecord, StoredAudio, job_prefix, new_job_id
from shared.logs import job_logged
from shared.request import TranscriptionRequest
from shared.workers import WorkerRecord

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submission:
    """
    What a caller sent beside the audio.

    Attributes:
        wait_s: How long the caller waits for the job; None to leave it to the site.
    """

    request: TranscriptionRequest
    filename: str
    wait_s: float | None


def submit(
    services: Services, receive: Callable[[AudioWriter], Submission]
) -> tuple[JobRecord, Submission]:
    """
    Make a job.

    Args:
        receive: Writes the audio and returns the rest. What it raises leaves nothing behind.

    Raises:
        LonghandError: The model, the options or the audio cannot be taken.
    """
    owner = present_owner()
    live = services.workers.live()
    job_id = new_job_id()
    key = f"{job_prefix(job_id)}/audio"
    try:
        # The object appears when the block ends well; until then it is nowhere.
        with services.storage.create(key) as out:
            writer = AudioWriter(out, services.settings.max_audio_bytes)
            submission = receive(writer)
            check_model(submission.request, services.settings.catalogue, live)
        audio = StoredAudio(
            key=key,
            filename=clean_filename(submission.filename),
            n_bytes=writer.n_bytes,
            sha256=writer.sha256,
            duration_s=_look_into(services, key),
        )
        options = store_voices(services, job_id, submission.request)
        record = services.jobs.submit(job_id, options, audio, owner=owner)
    except BaseException:
        services.storage.delete_all(job_prefix(job_id))
        raise
    with job_logged(job_id):
        _log.info("accepted: %.1f s of audio, %d bytes", audio.duration_s, audio.n_bytes)
    return record, submission


def _look_into(services: Services, key: str) -> float:
    """The true duration of stored audio, in seconds."""
    with services.storage.open_local(key) as path:
        facts = services.probe(path)
    limit_s = services.settings.max_audio_s
    if limit_s and facts.duration_s > limit_s:
        raise AudioTooLarge(
            f"the audio is {facts.duration_s:.0f} s long; the limit is {limit_s:g} s "
            "(LONGHAND_MAX_AUDIO_S)",
            param="file",
        )
    return facts.duration_s


def check_model(
    request: TranscriptionRequest, catalogue: Catalogue, live: list[WorkerRecord]
) -> None:
    """
    Refuse a model that is unknown, that no live worker can run, or that cannot do what is asked.

    With no live worker at all every known model is fine: the job waits for one.
    """
    name = catalogue.resolve(request.model)
    if name is None:
        hint = did_you_mean(request.model or "", catalogue.names())
        hint = hint or "GET /models lists those that are"
        raise ModelNotFound(f"model {request.model!r} is not known; {hint}", param="model")
    if not can_run(name, live):
        there = sorted({model for worker in live for model in worker.models})
        raise ModelNotFound(
            f"no running worker has the model {name!r}, and none may download it; "
            f"they have {', '.join(there) or 'none'}",
            param="model",
        )
    entry = MODELS[name]
    if request.task == "translate" and not entry.translates:
        raise InvalidRequest(
            f"task is 'translate'; model {name!r} can only transcribe", param="task"
        )
    if not entry.is_multilingual and request.language not in (None, "en"):
        raise InvalidRequest(
            f"language is {request.language!r}; model {name!r} knows English alone",
            param="language",
        )


def can_run(model: str, live: list[WorkerRecord]) -> bool:
    """Whether a request for a model is taken now."""
    return not live or any(worker.can_run(model) for worker in live)
