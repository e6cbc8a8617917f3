"""
A recording and its options become a job, or nothing of them is kept.

A route opens an `IncomingAudio`, writes the audio to it, reads the options and calls `submit`, all
within one block. Routes that take several recordings open one for each.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from gateway.access.auth import present_owner
from gateway.errors import REDIS_AWAY
from gateway.reading.audio import AudioWriter, clean_filename
from gateway.services import Services
from gateway.submission.default_model import meant_model
from gateway.submission.models import check_model
from gateway.submission.options import Submission
from gateway.submission.sharing import cache_key, fingerprint, present_key
from gateway.submission.voices import store_voices
from shared.errors import AudioError, AudioTooLarge, AudioUnreadable
from shared.logs import bound_request_id, job_logged
from shared.records import JobEntry, JobRecord, StoredAudio, job_prefix, new_job_id
from shared.request import TranscriptionRequest
from shared.tracks import check_channels
from shared.workers import WorkerRecord

_log = logging.getLogger(__name__)


class IncomingAudio:
    """
    One recording on its way in: received, stored, probed and given to a job.

    When its block ends, the recording is removed from storage unless a job has it.

    Args:
        field: The field that holds the audio or says where it is: errors of the audio name it.

    Attributes:
        job_id: The id of the job that it is for.
        writer: Takes the bytes, within the block.
        filename: What its caller calls it; "" until it is stored.

    Raises:
        InvalidRequest: The request's Idempotency-Key is not possible.
    """

    writer: AudioWriter

    def __init__(self, here: Services, *, field: str | None = None) -> None:
        self.job_id = new_job_id()
        self.filename = ""
        self._here = here
        self._field = field
        self._key = f"{job_prefix(self.job_id)}/audio"
        self._unstored = ExitStack()
        self._is_submitted = False
        self._record: JobRecord | None = None

    def __enter__(self) -> Self:
        # Both are checked now, so that no long body is read in vain.
        present_key(present_owner())
        self._here.redis.ping()
        out = self._unstored.enter_context(self._here.storage.create(self._key))
        self.writer = AudioWriter(out, self._here.settings.max_audio_bytes)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, AudioError):
            error.param = self._field or error.param
        try:
            self._unstored.__exit__(kind, error, traceback)
        finally:
            if not self._has_job():
                self._here.storage.delete_all(job_prefix(self.job_id))

    def store(self, filename: str) -> None:
        """
        Put the whole recording into storage, and probe it.

        Raises:
            AudioUnreadable: It is not audio.
            StorageFull: There is no room for it.
        """
        self._unstored.close()
        self.filename = clean_filename(filename)
        with self._here.storage.open_local(self._key) as path:
            self._facts = self._here.probe(path)

    def stored_audio(self, options: TranscriptionRequest) -> StoredAudio:
        """
        The recording as its job knows it, with the duration of the track that is transcribed.

        Raises:
            AudioTooLarge: That track lasts too long.
            AudioUnreadable: It cannot be decoded.
            InvalidRequest: There is no such track, or it has too many channels.
        """
        track = self._facts.track(options.audio_track)
        if not track.codec:
            raise AudioUnreadable(
                f"audio track {options.audio_track} is of a codec that is not known here"
            )
        if options.multichannel:
            check_channels(track.n_channels)
        limit_s = self._here.settings.max_audio_s
        if limit_s and track.duration_s > limit_s:
            raise AudioTooLarge(
                f"the audio is {track.duration_s:.0f} s long; the limit is {limit_s:g} s "
                "(LONGHAND_MAX_AUDIO_S)"
            )
        return StoredAudio(
            key=self._key,
            filename=self.filename,
            n_bytes=self.writer.n_bytes,
            sha256=self.writer.sha256,
            duration_s=track.duration_s,
        )

    def become_job(
        self, options: TranscriptionRequest, audio: StoredAudio, entry: JobEntry
    ) -> JobRecord:
        """Make the job; or find the one that the same Idempotency-Key made before."""
        self._is_submitted = True
        self._record = self._here.jobs.submit(self.job_id, options, audio, entry=entry)
        return self._record

    def _has_job(self) -> bool:
        """
        Whether a job has the recording.

        Redis may have made the job though its answer was lost. While Redis cannot be asked the
        recording is kept; if no job has it, retention removes it later.
        """
        if self._record is not None or not self._is_submitted:
            return self._record is not None and self._record.id == self.job_id
        try:
            return self._here.jobs.is_known(self.job_id)
        except REDIS_AWAY:
            return True


def submit(
    here: Services, incoming: IncomingAudio, submission: Submission, filename: str
) -> JobRecord:
    """
    Make a job of a recording that was received.

    Args:
        filename: What the caller calls the recording.

    Returns:
        The job; an older one if the same Idempotency-Key made it before.

    Raises:
        LonghandError: The model, the options or the audio cannot be taken.
    """
    live = here.workers.live()
    options = site_options(here, submission.request, live)  # before the recording is in storage
    incoming.store(filename)
    record = make_job(here, incoming, submission, options, live)
    if record.id == incoming.job_id:
        with job_logged(record.id):
            audio = record.audio
            _log.info("accepted: %.1f s of audio, %d bytes", audio.duration_s, audio.n_bytes)
    return record


def site_options(
    here: Services, sent: TranscriptionRequest, live: list[WorkerRecord]
) -> TranscriptionRequest:
    """
    The options that were sent, with the site's own in place of those that were not.

    Raises:
        LonghandError: No live worker can run the model, or the model cannot do what is asked.
    """
    chosen = {"model": meant_model(here, sent.model)}
    if sent.chinese is None:
        chosen["chinese"] = here.settings.default_chinese
    options = sent.model_copy(update=chosen)
    check_model(options, here.settings.catalogue, live)
    return options


def make_job(
    here: Services,
    incoming: IncomingAudio,
    submission: Submission,
    options: TranscriptionRequest,
    live: list[WorkerRecord],
    *,
    batch: str | None = None,
) -> JobRecord:
    """
    Make a job of a recording that is stored.

    Args:
        submission: As it was sent. An Idempotency-Key is compared with this, since the site's own
            options may have changed in between.
        options: Those of `site_options`.
        batch: The batch that the job is part of. The Idempotency-Key is then the batch's.

    Raises:
        LonghandError: The recording, or one of a known speaker's voice, cannot be taken.
    """
    owner, job = present_owner(), submission.job
    audio = incoming.stored_audio(options)
    entry = JobEntry(
        owner=owner,
        request_id=bound_request_id(),
        **job.model_dump(exclude={"cache"}),
        is_streamed=submission.is_streamed,
        asked_as=submission.asked_as,
        batch=batch,
        cache_key=cache_key(here, owner, audio.sha256, options, live) if job.cache else None,
        idempotency_key=None if batch else present_key(owner),
        fingerprint="" if batch else fingerprint(audio.sha256, submission.request, job),
    )
    options = store_voices(here, incoming.job_id, options)
    return incoming.become_job(options, audio, entry)
