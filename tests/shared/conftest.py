"""Values and services that the tests of `shared` begin with."""

from __future__ import annotations

import pytest
from job_traces import AUDIO
from redis import Redis

from shared.chinese import VARIANTS
from shared.jobs import Jobs
from shared.records import JobEntry, StoredAudio, job_prefix, new_job_id
from shared.request import TranscriptionRequest
from shared.storage import open_storage
from shared.transcript import Segment, Transcript, Word


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


@pytest.fixture
def share(jobs, storage):
    """Submit a job that may share its run; its record."""

    def share(owner="ann", cache_key="same", jobs=jobs, meet=lambda: None, **fields):
        job_id = new_job_id()
        key = f"jobs/{job_id}/audio"
        with storage.create(key) as out:
            out.write(AUDIO)
        audio = StoredAudio(
            key=key, filename="talk.wav", n_bytes=3, sha256="0" * 64, duration_s=2.0
        )
        entry = JobEntry(owner=owner, cache_key=cache_key, **fields)
        meet()
        return jobs.submit(job_id, TranscriptionRequest(), audio, entry=entry)

    return share


@pytest.fixture
def forgetful(redis, storage):
    """Jobs whose leases run out at once."""
    return Jobs(redis, storage, lease_s=0, max_attempts=3)


@pytest.fixture
def files_of(tmp_path):
    """Names of what is stored for a job."""

    def files_of(job_id):
        directory = tmp_path / "storage" / job_prefix(job_id)
        return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())

    return files_of


@pytest.fixture(scope="module", params=[v for v in VARIANTS if v != "none"])
def variant(request):
    """Each variant that converts."""
    return request.param


@pytest.fixture
def spoken(make_transcript):
    """Build a transcript from the words of each segment: every word a tenth of a second."""

    def make(*segments, language="zh", **fields):
        spans, words, n = [], [], 0
        for texts in segments:
            own = []
            for text in texts:
                own.append(Word(word=text, start=n / 10, end=(n + 1) / 10, probability=n % 7 / 10))
                n += 1
            spans.append((own[0].start, own[-1].end, "".join(texts)))
            words.append(tuple(own))
        transcript = make_transcript(*spans, language=language, **fields)
        timed = (
            segment.model_copy(update={"words": own})
            for segment, own in zip(transcript.segments, words, strict=True)
        )
        return transcript.model_copy(update={"segments": tuple(timed)})

    return make
