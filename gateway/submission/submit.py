"""Audio and options become a job, or nothing of them is kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from gateway.access.auth import present_owner
from gateway.errors import REDIS_AWAY
from gateway.reading.audio import AudioWriter, clean_filename
from gateway.reading.probe import AudioFacts
from gateway.services import Services
from gateway.submission.default_model import meant_model
from gateway.submission.models import check_model
from gateway.submission.options import Submission
from gateway.submission.sharing import cache_key, fingerprint, present_key
from gateway.submission.voices import store_voices
from shared.errors import AudioTooLarge, AudioUnreadable
from shared.logs import bound_request_id, job_logged
from shared.records import (
    JobEntry,
    JobRecord,
    StoredAudio,
    job_key,
    job_prefix,
    new_job_id,
)
from shared.request import TranscriptionRequest
from shared.tracks import check_channels
from shared.workers import WorkerRecord

_log = logging.getLogger(__name__)


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
            if not services.redis.exists(job_key(job_id)):
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
