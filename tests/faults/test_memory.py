"""A worker's memory does not grow with the length of the audio."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from process_tree import children_of, status_bytes
from spoken import draw_utterances

from models.training.demo_model.voices import SAMPLE_RATE_HZ
from shared.records import StoredAudio, new_job_id
from shared.request import TranscriptionRequest

pytestmark = [pytest.mark.faults, pytest.mark.main_job]

ALLOWED_BYTES = 100_000_000


def write_sparse(path: Path, length_s: int, every_s: int) -> int:
    """Write a WAV with a sentence every so often, holes between; how many sentences."""
    said = draw_utterances(4, seed=51, language="en")
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes(b"")
    header = bytearray(path.read_bytes())
    n_bytes = length_s * SAMPLE_RATE_HZ * 2
    header[4:8] = (n_bytes + 36).to_bytes(4, "little")
    header[40:44] = n_bytes.to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + n_bytes)
        starts = range(5, length_s, every_s)
        for i, start_s in enumerate(starts):
            file.seek(len(header) + start_s * SAMPLE_RATE_HZ * 2)
            file.write(said[i % len(said)].waveform.astype("<i2").tobytes())
    return len(starts)


def peaks_of(pid: int) -> dict[str, int]:
    """Most memory a process and each of its children have held, by what was started, in bytes."""
    return {
        f"{process} {Path(f'/proc/{process}/cmdline').read_text()[-60:]!r}": status_bytes(
            process, "VmHWM"
        )
        for process in (pid, *children_of(pid))
    }


def peak_of(pid: int) -> dict[str, int]:
    """
    The same, of three looks the least.

    What a process has held at most does not shrink while it lives: only what was none of the
    worker's, come and gone between the list of its children and their status, differs.
    """
    return min((peaks_of(pid) for _ in range(3)), key=lambda peaks: sum(peaks.values()))


def test_five_hours_need_no_more_memory_than_ten_minutes(
    open_site: Callable[..., Any], tmp_path: Path
) -> None:
    site = open_site(n_workers=1)
    [worker] = site.workers()
    peaks = []
    # Of both the engine gets more chunks than it takes at a time.
    for length_s, every_s in ((600, 60), (5 * 3600, 600)):
        job_id = new_job_id()
        key = f"jobs/{job_id}/audio"
        target = site.stack.storage_dir / key
        target.parent.mkdir(parents=True)
        n_said = write_sparse(target, length_s, every_s)
        audio = StoredAudio(
            key=key,
            filename="long.wav",
            n_bytes=target.stat().st_size,
            sha256="",
            duration_s=length_s,
        )
        site.jobs.submit(job_id, TranscriptionRequest(language="en"), audio)
        transcript = site.transcript(job_id)
        assert transcript.duration == length_s
        assert len(transcript.segments) >= n_said
        assert abs(transcript.segments[-1].start - (5 + every_s * (n_said - 1))) < 1
        peaks.append(peak_of(worker.pid))

    ten_minutes, five_hours = (sum(peak.values()) for peak in peaks)
    assert five_hours - ten_minutes < ALLOWED_BYTES, "\n".join(map(str, peaks))
