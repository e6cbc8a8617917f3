"""Values and services that the tests of `shared` begin with."""

from __future__ import annotations

import pytest
from redis import Redis

from shared.jobs import Jobs
from shared.records import StoredAudio, new_job_id
from shared.request import TranscriptionRequest
from shared.storage import open_storage
from shared.transcript import Segment, Transcript


@pytest.fixture
def make_transcript():
    """Build a transcript from `(start, end, text)` triples."""

    def make(*spans, language="en", **fields):
        segments = tuple(
            Segment(
                id=index,
                seek=0,
                start=start,
                end=end,
                text=text,
                tokens=(50364, 50414),
                temperature=0.0,
                avg_logprob=-0.25,
                compression_ratio=1.0,
                no_speech_prob=0.125,
            )
            for index, (start, end, text) in enumerate(spans)
        )
        values = {
            "text": "".join(segment.text for segment in segments).strip(),
            "task": "transcribe",
            "language": language,
            "language_probability": 1.0,
            "duration": max((segment.end for segment in segments), default=0.0),
            "duration_after_vad": 0.0,
            "segments": segments,
            "model": "demo",
            "model_revision": "1",
            "engine": "faster_whisper",
        }
        return Transcript(**(values | fields))

    return make


@pytest.fixture
def redis(redis_url):
    with Redis.from_url(redis_url) as connection:
        yield connection


@pytest.fixture
def storage(tmp_path):
    return open_storage(tmp_path / "storage")


@pytest.fixture
def jobs(redis, storage):
    return Jobs(redis, storage, lease_s=30, max_attempts=3)


@pytest.fixture
def submit(jobs):
    """Submit a job; its record is returned."""

    def submit(**fields):
        job_id = new_job_id()
        audio = StoredAudio(
            key=f"jobs/{job_id}/audio",
            filename="会议录音.mp3",
            n_bytes=3,
            sha256="0" * 64,
            duration_s=2.0,
        )
        return jobs.submit(job_id, TranscriptionRequest(**fields), audio)

    return submit
