"""One job in a worker: claim, fetch, decode, transcribe, store."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis.exceptions import RedisError

from shared.catalogue import may_be_own
from shared.chinese import Variant, convert, is_chinese
from shared.errors import (
    AudioUnreadable,
    EngineFailed,
    JobCancelled,
    LonghandError,
    ModelNotFound,
)
from shared.generations import Generations
from shared.jobs import Jobs
from shared.logs import job_logged
from shared.records import RunRecord
from shared.request import TranscriptionRequest
from shared.storage import KeyNotFound, Storage
from shared.transcript import Transcript, Warned
from worker import pipeline
from worker.audio.source import AudioSource
from worker.channels import transcribe_channels
from worker.diarization import KnownSpeaker
from worker.jobs.leases import FIRST_STAGE, Lease, Leases
from worker.jobs.resume import JobCheckpoint
from worker.processes.lanes import ChildDied
from worker.processes.pooled import PooledModels, SharedProcesses
from worker.settings import WorkerSettings

_log = logging.getLogger(__name__)

_DECODED = 0.03
"""The share of decoding in a job's progress."""


@dataclass(frozen=True)
class WorkerServices:
    """What all jobs of a worker share; `scratch` is a folder of the worker's own."""

    settings: WorkerSettings
    name: str
    jobs: Jobs
    storage: Storage
    generations: Generations
    leases: Leases
    processes: SharedProcesses
    scratch: Path


def run_job(services: WorkerServices, job_id: str, attempt: int) -> None:
    """
    Make one attempt at a job, and record how it ended. Errors of a job are recorded, not raised.

    Nothing happens if the job cannot be claimed: its slip came late or twice, or another worker has
    the job.
    """
    record = services.jobs.runs.claim(job_id, attempt, services.name)
    if record is None:
        return
    logged = job_logged(job_id, request_id=record.request_id)
    with logged, services.leases.hold(job_id, attempt) as lease:
        _log.info("attempt %d: %.1f s of audio", attempt, record.audio.duration_s)
        try:
            transcript = _transcribe(services, record, lease)
            lease.report("convert", 1.0, transcript.duration_after_vad)
            transcript, converted = _convert(transcript, record.request.chinese)
            services.leases.tell_last(lease)
            is_published = services.jobs.runs.finish(job_id, attempt, transcript, converted)
            _log.info("succeeded" if is_published else "done, but no longer wanted")
        except JobCancelled as reason:
            _log.info("stopped: %s", reason)
        except RedisError as error:
            _log.error("Redis is away for too long, the job is left to another worker: %s", error)
        except LonghandError as error:
            _log.warning("failed: %s: %s", error.code, error)
            _fail(services, lease, error)
        except Exception as error:
            _log.exception("failed")
            _fail(services, lease, EngineFailed(f"{type(error).__name__}: {error}"))


def _fail(services: WorkerServices, lease: Lease, error: LonghandError) -> None:
    services.leases.tell_last(lease)
    services.jobs.runs.fail(lease.job_id, lease.attempt, error.to_value())


def _transcribe(services: WorkerServices, record: RunRecord, lease: Lease) -> Transcript:
    asked = record.request.model
    # The gateway accepted it, so it may be an operator's own model, here or on another worker.
    own = [asked] if asked and may_be_own(asked) else []
    model = services.settings.catalogue.resolve(asked, own)
    if model is None:
        raise ModelNotFound(f"no model is known as {asked!r}", param="model")
    generation = services.generations.current()
    models = PooledModels(services.processes, lease.check, generation=generation)
    with tempfile.TemporaryDirectory(prefix=f"{record.id}-", dir=services.scratch) as folder:
        lease.report(FIRST_STAGE, 0.0)
        request = record.request
        with _stored(services, record.audio.key) as path:
            decode = models.decode_channels if request.multichannel else models.decode
            audio = decode(
                path,
                Path(folder) / "audio.pcm",
                request.audio_track,
                lambda fraction: lease.report(FIRST_STAGE, _DECODED * fraction),
            )
        known = _known_speakers(services, models, record.request, Path(folder))
        checkpoint = JobCheckpoint(services.jobs.runs.chunks, record.id, record.attempt)

        def report(stage: str, fraction: float, done_s: float) -> None:
            lease.report(stage, _DECODED + (1 - _DECODED) * fraction, done_s)

        extras = pipeline.Extras(checkpoint, known, record.is_streamed)
        if isinstance(audio, AudioSource):
            return pipeline.transcribe(audio, request, models, report, model=model, extras=extras)
        return transcribe_channels(audio, request, models, report, model=model, extras=extras)


def _known_speakers(
    services: WorkerServices, models: PooledModels, request: TranscriptionRequest, folder: Path
) -> tuple[KnownSpeaker, ...]:
    """The recordings of known speakers, decoded. One that is unreadable does not fail the job."""
    if not request.diarize:
        return ()
    known = []
    keys = zip(request.known_speaker_names, request.known_speaker_references, strict=True)
    for n, (name, key) in enumerate(keys):
        scratch = folder / f"{n}.pcm"
        try:
            with _stored(services, key) as path:
                voice = models.decode(path, scratch)
            known.append(KnownSpeaker(name, voice))
        except AudioUnreadable as error:
            _log.warning("the recording of a known speaker: %s", error)
            scratch.write_bytes(b"")  # the diarizer warns that nobody is heard in it
            known.append(KnownSpeaker(name, AudioSource(scratch, 0)))
    return tuple(known)


@contextmanager
def _stored(services: WorkerServices, key: str) -> Iterator[Path]:
    """Give a local path of stored audio, which is decoded within the block."""
    try:
        with services.storage.open_local(key) as path:
            yield path
    except KeyNotFound as error:
        raise AudioUnreadable("the audio of this job is no longer in storage") from error
    except ChildDied as error:
        raise AudioUnreadable(f"the audio could not be decoded ({error})") from error
    except TimeoutError as error:
        raise AudioUnreadable(f"decoding stopped making progress ({error})") from error


def _convert(
    transcript: Transcript, variant: Variant | None
) -> tuple[Transcript, dict[str, Transcript]]:
    """The transcript, and a copy in the script that was asked for, if that is another one."""
    if variant in (None, "none") or not is_chinese(transcript):
        return transcript, {}
    try:
        return transcript, {variant: convert(transcript, variant)}
    except Exception as error:
        _log.exception("the script could not be converted")
        message = f"the text is in the script it was recognised in: {error}"
        warned = (*transcript.warnings, Warned(code="conversion_failed", message=message))
        return transcript.model_copy(update={"warnings": warned}), {}
