"""What a worker does to a job's record, without a worker: for tests of HTTP alone."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask.testing import FlaskClient
from waiting import wait_until
from werkzeug.test import TestResponse

from gateway.services import Services
from shared.errors import ErrorValue
from shared.records import JobRecord
from shared.transcript import Segment, SpeakerTurn, Transcript, Warned, Word

SEGMENT = Segment(
    id=0,
    seek=0,
    start=0.1234,
    end=0.5,
    text=" Good morning.",
    tokens=(1, 2, 3),
    temperature=0.0,
    avg_logprob=-0.2,
    compression_ratio=0.9,
    no_speech_prob=0.01,
    words=(Word(word=" Good", start=0.1234, end=0.3, probability=0.9),),
)
TRANSCRIPT = Transcript(
    text=" Good morning.",
    task="transcribe",
    language="en",
    language_probability=0.98,
    duration=0.5,
    duration_after_vad=0.4,
    segments=(SEGMENT,),
    model="demo",
    model_revision="1",
    engine="faster_whisper",
    options={"temperature": 0.0},
    warnings=(Warned(code="quiet", message="the recording is quiet"),),
)
DIALOG = TRANSCRIPT.model_copy(
    update={
        "segments": (SEGMENT.model_copy(update={"speaker": "SPEAKER_00"}),),
        "turns": (SpeakerTurn(speaker="SPEAKER_00", start=0.1, end=0.5),),
    }
)
"""The same, and who says it."""


def upload(
    client: FlaskClient,
    audio: bytes,
    filename: str = "talk.wav",
    *,
    headers: dict[str, str] | None = None,
    **fields: str,
) -> TestResponse:
    """Send audio as a form."""
    form = {**fields, "file": (io.BytesIO(audio), filename)}
    return client.post("/transcribe/file", data=form, headers=headers)


def succeed(services: Services, job_id: str, transcript: Transcript = TRANSCRIPT) -> None:
    """Run a job to its end."""
    record = services.jobs.runs.claim(job_id, 1, "w1")
    assert record is not None
    assert services.jobs.runs.finish(job_id, 1, transcript)


def fail(services: Services, job_id: str, error: ErrorValue) -> None:
    """Run a job into an error."""
    assert services.jobs.runs.claim(job_id, 1, "w1") is not None
    assert services.jobs.runs.fail(job_id, 1, error)


def newest(services: Services) -> JobRecord | None:
    """The job that was accepted last."""
    return next(iter(services.jobs.newest(limit=1)), None)


@contextmanager
def meanwhile(services: Services, act: Callable[[JobRecord], object]) -> Iterator[None]:
    """Do something to the next job while the block waits for it."""

    def run() -> None:
        act(wait_until(lambda: newest(services), 20, "a job"))

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(20)
    assert not thread.is_alive()
