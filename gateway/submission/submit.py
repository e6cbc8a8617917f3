"""Audio and options become a job, or nothing of them is kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from gateway.access.auth import present_owner
from gateway.errors import REDIS_AWAY
from gateway.reading.fields import JobOptions
from gateway.reading.forms import AudioWriter, clean_filename
from gateway.reading.parse import did_you_mean
from gateway.reading.probe import AudioFacts
from gateway.services import Services
from gateway.submission.default_model import meant_model
from gateway.submission.diarizers import check_diarizer
from gateway.submission.engines import refuse_other_engine
from gateway.submission.sharing import cache_key, fingerprint, present_key
from gateway.submission.voices import store_voices
from shared.catalogue import MODELS, Catalogue, ModelEntry
from shared.errors import AudioTooLarge, AudioUnreadable, InvalidRequest, ModelNotFound
from shared.logs import bound_request_id, job_logged
from shared.records import (
    AskedAs,
    JobEntry,
    JobRecord,
    StoredAudio,
    job_prefix,
    new_job_id,
)
from shared.request import TranscriptionRequest
from shared.tracks import check_channels
from shared.workers import WorkerRecord, known_models, own_models

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submission:
    """
    What a caller sent beside the audio.

    Attributes:
        request: The options, as they were sent; of a job that was made, with the site's own.
        wait_s: How long the caller waits for the job; None to leave it to the site.
        is_streamed: Whether the caller reads the text while it is made.
        asked_as: How a client of another service asked, where its answers come later.
    """

    request: TranscriptionRequest
    filename: str
    wait_s: float | None = None
    job: JobOptions = JobOptions()
    is_streamed: bool = False
    asked_as: AskedAs | None = None

    def named(self, filename: str) -> Submission:
        """The same of audio with another name."""
        return replace(self, filename=filename)


def submit(
    services: Services, receive: Callable[[AudioWriter], Submission]
) -> tuple[JobRecord, Submission]:
    """
    Make a job; or find the one that the same Idempotency-Key made before.

    Args:
        receive: Writes the audio and returns the rest. What it raises leaves nothing behind.

    Raises:
        LonghandError: The model, the options or the audio cannot be taken.
    """
    present_key(present_owner())  # before a long body is read in vain
    live = services.workers.live()
    job_id = new_job_id()
    with _kept_or_removed(services, job_id):
        key = f"{job_prefix(job_id)}/audio"
        # The object appears when the block ends well; until then it is nowhere.
        with services.storage.create(key) as out:
            writer = AudioWriter(out, services.settings.max_audio_bytes)
            submission = receive(writer)
            options = fill_in(services, submission.request)
            check_model(options, services.settings.catalogue, live)
        facts = look_into(services, key, param=writer.param)
        audio = StoredAudio(
            key=key,
            filename=clean_filename(submission.filename),
            n_bytes=writer.n_bytes,
            sha256=writer.sha256,
            duration_s=duration_of(services, facts, options, param=writer.param),
        )
        entry = make_entry(services, submission, options, audio, live)
        options = store_voices(services, job_id, options)
    with _kept_if_known(services, job_id):
        record = services.jobs.submit(job_id, options, audio, entry=entry)
    submission = replace(submission, request=record.request)
    if record.id != job_id:
        services.storage.delete_all(job_prefix(job_id))
        return record, submission
    with job_logged(job_id):
        _log.info("accepted: %.1f s of audio, %d bytes", audio.duration_s, audio.n_bytes)
    return record, submission


@contextmanager
def _kept_if_known(services: Services, job_id: str) -> Iterator[None]:
    """
    Remove what is stored of a job if the block fails and Redis does not know it.

    It may, though its answer was lost. Where nobody can be asked the audio stays: retention
    removes what is nobody's in time.
    """
    try:
        yield
    except Exception:
        with suppress(*REDIS_AWAY):
            if not services.jobs.is_known(job_id):
                services.storage.delete_all(job_prefix(job_id))
        raise


@contextmanager
def _kept_or_removed(services: Services, job_id: str) -> Iterator[None]:
    """Whatever stops the block leaves nothing of the job in storage."""
    try:
        yield
    except BaseException:
        services.storage.delete_all(job_prefix(job_id))
        raise


def fill_in(services: Services, sent: TranscriptionRequest) -> TranscriptionRequest:
    """The options that were sent, and the site's own where it has some for those that were not."""
    chosen = {"model": meant_model(services, sent.model)}
    if sent.chinese is None:
        chosen["chinese"] = services.settings.default_chinese
    return sent.model_copy(update=chosen)


def make_entry(
    services: Services,
    submission: Submission,
    options: TranscriptionRequest,
    audio: StoredAudio,
    live: list[WorkerRecord],
) -> JobEntry:
    """
    How a job enters: what its caller said, and what tells it from others and makes it equal.

    Args:
        submission: As it was sent. By that a request is known again, whatever the site's own
            options are by then.
        options: Those of the job, recordings of voices among them.
    """
    owner, job = present_owner(), submission.job
    shares = cache_key(services, owner, audio.sha256, options, live) if job.cache else None
    return JobEntry(
        owner=owner,
        request_id=bound_request_id(),
        **job.model_dump(exclude={"cache"}),
        is_streamed=submission.is_streamed,
        asked_as=submission.asked_as,
        cache_key=shares,
        idempotency_key=present_key(owner),
        fingerprint=fingerprint(audio.sha256, submission.request, job),
    )


def look_into(services: Services, key: str, *, param: str | None = None) -> AudioFacts:
    """
    What stored audio is.

    Args:
        param: The field to name in an error.

    Raises:
        AudioUnreadable: It is no audio.
    """
    try:
        with services.storage.open_local(key) as path:
            return services.probe(path)
    except AudioUnreadable as error:
        error.param = param
        raise


def duration_of(
    services: Services,
    facts: AudioFacts,
    options: TranscriptionRequest,
    *,
    param: str | None = None,
) -> float:
    """
    How long the track is that is to be transcribed, in seconds.

    Args:
        param: The field to name in an error of the audio.

    Raises:
        AudioTooLarge: It lasts too long.
        AudioUnreadable: It cannot be decoded.
        InvalidRequest: There is no such track, or it has too many channels.
    """
    track = facts.track(options.audio_track)
    if not track.codec:
        raise AudioUnreadable(
            f"audio track {options.audio_track} is of a codec that is not known here", param=param
        )
    if options.multichannel:
        check_channels(track.n_channels)
    limit_s = services.settings.max_audio_s
    if limit_s and track.duration_s > limit_s:
        raise AudioTooLarge(
            f"the audio is {track.duration_s:.0f} s long; the limit is {limit_s:g} s "
            "(LONGHAND_MAX_AUDIO_S)",
            param=param,
        )
    return track.duration_s


def check_model(
    request: TranscriptionRequest, catalogue: Catalogue, live: list[WorkerRecord]
) -> None:
    """
    Refuse a model that is unknown, that no live worker can run, or that cannot do what is asked;
    and a diarization model.

    With no live worker at all every known model is fine: the job waits for one.
    """
    known = known_models(live)
    name = catalogue.resolve(request.model, known)
    if name is None:
        refuse_other_engine(request.model, live)
        hint = did_you_mean(request.model or "", catalogue.names(own_models(live)))
        hint = hint or "GET /models lists those that are"
        raise ModelNotFound(f"model {request.model!r} is not known; {hint}", param="model")
    if not can_run(name, live):
        there = sorted({model for worker in live for model in worker.models})
        raise ModelNotFound(
            f"no running worker has the model {name!r}, and none may download it; "
            f"they have {', '.join(there) or 'none'}",
            param="model",
        )
    entry = known.get(name, MODELS[name])
    if request.task == "translate" and not entry.translates:
        able = [m for m, other in known.items() if other.translates and can_run(m, live)]
        raise InvalidRequest(
            f"task is 'translate'; model {name!r} can only transcribe; "
            f"those that translate: {', '.join(able) or 'none here'}",
            param="task",
        )
    _check_language(request.language, entry)
    check_diarizer(request, entry, live)


def _check_language(language: str | None, entry: ModelEntry) -> None:
    if not entry.is_multilingual and language not in (None, "en"):
        raise InvalidRequest(
            f"language is {language!r}; model {entry.name!r} knows English alone", param="language"
        )
    if language == "yue" and not entry.knows_cantonese:
        raise InvalidRequest(
            f"language is 'yue'; model {entry.name!r} does not know Cantonese, large-v3 and turbo "
            "do",
            param="language",
        )


def can_run(model: str, live: list[WorkerRecord]) -> bool:
    """Whether a request for a model is taken now."""
    return not live or any(worker.can_run(model) for worker in live)
