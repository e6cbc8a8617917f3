"""Channels of one job: what is kept of each, and how another worker goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attempts import attempt
from media import Piece, Sound, sound_of, write_media
from redis import Redis
from spoken import draw_long_clip, transcribe_here

from shared.generations import Generations
from shared.jobs import Jobs
from shared.jobs.chunks import KeptChunks
from shared.request import TranscriptionRequest
from shared.storage import open_storage
from shared.transcript import Transcript
from worker.audio.source import AudioSource, decode, decode_channels
from worker.channels import transcribe_channels
from worker.job import WorkerServices
from worker.jobs.leases import Leases
from worker.jobs.resume import JobCheckpoint
from worker.pipeline import Extras
from worker.processes.local import LocalModels
from worker.processes.pooled import SharedProcesses
from worker.settings import WorkerSettings

LENGTHS_S = (45.0, 30.0, 45.0)
REQUEST = TranscriptionRequest(multichannel=True)


class Stopped(Exception):
    """The worker is no more."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three microphones, the second of which hears nothing."""
    folder, channels = tmp_path_factory.mktemp("recording"), []
    for n, length_s in enumerate(LENGTHS_S):
        clip = draw_long_clip(folder, seed=90 + n, length_s=length_s)
        audio = decode(clip.path, folder / "clip.pcm")
        channels.append(audio.read(0, audio.n_samples))
    n_samples = max(map(len, channels))
    together = np.stack([np.pad(channel, (0, n_samples - len(channel))) for channel in channels])
    together[1] = 0
    sound = Sound((Piece(together),), "pcm_s16le", "2.1", rate_hz=16_000)
    return write_media(folder / "three.wav", [sound])


@pytest.fixture(scope="module")
def channels(recording: Path) -> tuple[AudioSource, ...]:
    return decode_channels(recording, recording.with_name("audio.pcm"))


@pytest.fixture(scope="module")
def undisturbed(
    channels: tuple[AudioSource, ...], models: LocalModels
) -> tuple[Transcript, list[float], set[str]]:
    """What `run` gives if nothing is in its way."""
    return run(channels, models, Extras())


def kept_by(chunks: KeptChunks, job_id: str, n: int) -> Extras:
    return Extras(JobCheckpoint(chunks, job_id, n))


def run(
    channels: tuple[AudioSource, ...],
    models: LocalModels,
    extras: Extras,
    stop_at: float = 2.0,
) -> tuple[Transcript, list[float], set[str]]:
    """Transcribe channels with the demo model; how far it was said to be, and in what."""
    told: list[float] = []
    stages: set[str] = set()

    def report(stage: str, fraction: float, done_s: float) -> None:
        told.append(fraction)
        stages.add(stage)
        assert 0 <= done_s <= channels[0].duration_s
        if fraction >= stop_at:
            raise Stopped

    found = transcribe_channels(channels, REQUEST, models, report, model="demo", extras=extras)
    return found, told, stages


@pytest.mark.parametrize("stop_at", [0.2, 0.8])
def test_another_worker_goes_on_where_one_stopped_in_any_channel(
    channels: tuple[AudioSource, ...], models: LocalModels, jobs: Jobs, redis: Redis,
    submit: Callable[..., str], stop_at: float,
    undisturbed: tuple[Transcript, list[float], set[str]],
) -> None:  # fmt: skip
    expected, told, stages = undisturbed
    job_id = submit(b"audio")
    assert jobs.runs.claim(job_id, 1, "a")
    with pytest.raises(Stopped):
        run(channels, models, kept_by(jobs.runs.chunks, job_id, 1), stop_at)
    kept = jobs.runs.chunks.read(job_id)
    n_before = len(kept[1]) if kept else 0
    redis.zadd("longhand:leases", {job_id: 1})
    assert jobs.runs.reap() == [job_id]
    assert jobs.runs.claim(job_id, 2, "b")

    counted = CountedChunks(jobs.runs.chunks, job_id, 2)
    again, _, _ = run(channels, models, Extras(counted))

    assert again == expected
    whole = jobs.runs.chunks.read(job_id)
    assert whole is not None
    assert 0 < n_before < len(whole[1]) == n_before + counted.n
    assert told == sorted(told) and {"speech", "transcribe"} <= stages


class CountedChunks(JobCheckpoint):
    """Counts the chunks of an attempt."""

    n = 0

    def keep(self, *args: Any) -> None:
        """See `Checkpoint.keep`."""
        self.n += 1
        super().keep(*args)


def test_callers_who_read_along_get_channel_after_channel_with_speakers(
    channels: tuple[AudioSource, ...], models: LocalModels, jobs: Jobs, submit: Callable[..., str]
) -> None:
    job_id = submit(b"audio")
    assert jobs.runs.claim(job_id, 1, "a")

    found, _, _ = run(channels, models, kept_by(jobs.runs.chunks, job_id, 1))

    read, index = [], 0
    while True:
        more, index = jobs.runs.chunks.following(job_id, index)
        if not more:
            break
        read += [segment for chunk in more for segment in chunk.segments]
    assert [s.speaker for s in read] == sorted(str(s.speaker) for s in found.segments)
    assert {s.speaker for s in read} == {"SPEAKER_00", "SPEAKER_02"}
    partial = jobs.runs.chunks.segments(job_id)
    assert [(s.start, s.text) for s in partial] == [(s.start, s.text) for s in found.segments]


@pytest.fixture(scope="module")
def processes(demo_model: Path) -> Iterator[SharedProcesses]:
    """The children of a worker, started once."""
    settings = WorkerSettings(default_model="demo", downloads=False, device="cpu")
    with SharedProcesses(settings).running() as processes:
        yield processes


@pytest.fixture
def services(
    settings: WorkerSettings, jobs: Jobs, processes: SharedProcesses, tmp_path: Path
) -> WorkerServices:
    scratch = tmp_path / "own"
    scratch.mkdir()
    return WorkerServices(
        settings, "worker-a", jobs, open_storage(settings.storage_dir), Generations(jobs._redis),
        Leases(jobs.runs, lambda: None), processes, scratch,
    )  # fmt: skip


def test_a_job_of_channels_becomes_what_they_are_in_process(
    services: WorkerServices, submit: Callable[..., str], recording: Path,
    undisturbed: tuple[Transcript, list[float], set[str]],
) -> None:  # fmt: skip
    record = attempt(services, submit(recording.read_bytes(), multichannel="true"))

    assert (record.status, record.progress) == ("succeeded", 1.0)
    expected, _, _ = undisturbed
    assert services.jobs.read_transcript(record) == expected


def test_a_job_hears_the_track_that_it_names(
    services: WorkerServices, submit: Callable[..., str], models: LocalModels, tmp_path: Path
) -> None:
    clips = [draw_long_clip(tmp_path, seed=80 + n, length_s=8) for n in range(2)]
    sounds = []
    for clip in clips:
        audio = decode(clip.path, tmp_path / "clip.pcm")
        samples = audio.read(0, audio.n_samples)
        sounds.append(sound_of(samples, codec="pcm_s16le", rate_hz=16_000))
    path = write_media(tmp_path / "two.mkv", sounds)

    records = [
        attempt(services, submit(path.read_bytes(), audio_track=str(n + 1)))
        for n in range(len(clips))
    ]

    found = [services.jobs.read_transcript(record).text for record in records]
    assert found == [transcribe_here(models, clip.path).text for clip in clips]
    assert found[0] != found[1]
