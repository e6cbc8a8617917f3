"""
Measure live sessions while the same worker transcribes files: a whole stack of real programs.

    python -m bench.live.beside [--model tiny.en] [--sessions 2] [--length 40] [--save DIR]

Sessions speak at real time three times: alone, beside a file of ten minutes, and beside one of ten
hours. The lag of a word is from when it was said until the text with it came back. It ends with
status 1 if the lag grows by half or a file does not go on, and 2 if there are no recordings.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import httpx2
import numpy as np
from websockets.sync.client import ClientConnection, connect

from bench.evaluation.speech import SPEECH, read_clips
from bench.measures import keep, load_average, machine
from cli.stack import Stack
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.settings import WorkerSettings

_FRAME_S = 0.1
_MOST_GROWTH = 0.5
_FILES = (
    ("alone", 0.0),
    ("beside a file of 10 minutes", 600.0),
    ("beside one of 10 hours", 36_000.0),
)


@dataclass
class Session:
    """One caller who speaks at real time; `lags` are seconds from the end of a word to its text."""

    url: str
    pcm: bytes
    lags: list[float] = field(default_factory=list)
    _started: float = 0.0

    def run(self) -> None:
        """Speak all of it, and wait for the rest of the text."""
        with connect(self.url, ping_interval=None) as socket:
            self._started = time.monotonic()
            speaking = threading.Thread(target=self._speak, args=(socket,))
            speaking.start()
            for message in socket:
                self._hear(json.loads(message))
            speaking.join()

    def _speak(self, socket: ClientConnection) -> None:
        step = int(_FRAME_S * SAMPLE_RATE_HZ) * 2
        for at in range(0, len(self.pcm), step):
            due = self._started + (at + step) / 2 / SAMPLE_RATE_HZ
            time.sleep(max(0.0, due - time.monotonic()))
            socket.send(self.pcm[at : at + step])

    def _hear(self, told: dict) -> None:
        now_s = time.monotonic() - self._started
        self.lags += [now_s - word["end"] for word in told["words"][len(self.lags) :]]


@dataclass(frozen=True)
class Phase:
    """What was measured in one part: lags in seconds, and how much of the file was done."""

    name: str
    lags: list[float]
    progress: float | None = None

    def percentile(self, share: float) -> float:
        """A percentile of the lags."""
        return percentile(self.lags, share)


def percentile(values: Sequence[float], share: float) -> float:
    """
    The value that a share of the values do not exceed.

    >>> percentile([3.0, 1.0, 2.0, 4.0], 0.5)
    2.0
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(round(len(ordered) * share, 6)) - 1)]


def spoken(length_s: float, speech: Path) -> bytes:
    """
    English speech of a length, with pauses of a second, as 16-bit samples.

    Raises:
        FileNotFoundError: There are no recordings.
    """
    pause = np.zeros(SAMPLE_RATE_HZ, np.float32)
    parts: list[np.ndarray] = []
    clips = [clip for clip in read_clips(speech) if clip.language == "en" and clip.utterances]
    while sum(map(len, parts)) < length_s * SAMPLE_RATE_HZ:
        parts += [clips[len(parts) // 2 % len(clips)].read(), pause]
    samples = np.concatenate(parts)[: int(length_s * SAMPLE_RATE_HZ)]
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def write_opus(path: Path, pcm: bytes, length_s: float) -> None:
    """Write speech again and again, as Opus: its packets are copied, so hours cost little."""
    samples = np.frombuffer(pcm, "<i2")
    with av.open(str(path), "w", format="ogg") as out:
        stream = out.add_stream("libopus", rate=SAMPLE_RATE_HZ, layout="mono")
        stream.bit_rate = 12_000
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        packets = [(bytes(p), p.duration) for p in [*stream.encode(frame), *stream.encode(None)]]
        at, time_base = 0, stream.codec_context.time_base
        while at * time_base < length_s:
            for data, duration in packets:
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, time_base
                packet.pts = packet.dts = at
                packet.duration = duration
                at += duration
                out.mux(packet)


def measure(stack: Stack, name: str, file: Path | None, pcm: bytes, n_sessions: int) -> Phase:
    """Let sessions speak, beside a file if there is one, which is cancelled at the end."""
    job, http = None, httpx2.Client(base_url=stack.url, timeout=600)
    if file is not None:
        with file.open("rb") as audio:
            answer = http.post("/transcribe/file", files={"file": audio}, data={"cache": "false"})
        answer.raise_for_status()
        job = answer.json()["job_id"]
        while http.get(f"/jobs/{job}").json()["status"] == "queued":
            time.sleep(0.1)
    url = stack.live_url.replace("http", "ws", 1) + (
        "/v1/audio/transcriptions?response_format=verbose_json&language=en"
    )
    sessions = [Session(url, pcm) for _ in range(n_sessions)]
    threads = [threading.Thread(target=session.run) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress = None
    if job is not None:
        found = http.get(f"/jobs/{job}").json()
        progress = 1.0 if found["status"] == "succeeded" else float(found.get("progress") or 0)
        http.delete(f"/jobs/{job}")
    http.close()
    return Phase(name, [lag for session in sessions for lag in session.lags], progress)


def _phases(pcm: bytes, env: dict[str, str], n_sessions: int) -> list[Phase]:
    with (
        tempfile.TemporaryDirectory(prefix="beside-") as folder,
        Stack(Path(folder), env=env) as stack,
    ):
        measure(stack, "to warm up", None, pcm[: 5 * SAMPLE_RATE_HZ * 2], 1)
        phases = []
        for name, length_s in _FILES:
            file = Path(folder) / "long.ogg" if length_s else None
            if file is not None:
                write_opus(file, pcm, length_s)
            phases.append(measure(stack, name, file, pcm, n_sessions))
        return phases


def report(phases: Sequence[Phase]) -> tuple[str, bool]:
    """A table, and whether the bars hold."""
    alone = phases[0].percentile(0.9)
    rows = ["| sessions | words | lag p50 s | p90 s | p90 against alone | done of the file |"]
    rows.append("|---|--:|--:|--:|--:|--:|")
    holds = True
    for phase in phases:
        p90 = phase.percentile(0.9)
        growth = p90 / alone - 1
        holds = holds and growth < _MOST_GROWTH and phase.progress != 0
        done = "" if phase.progress is None else f"{phase.progress:.1%}"
        rows.append(
            f"| {phase.name} | {len(phase.lags)} | {statistics.median(phase.lags):.2f} | "
            f"{p90:.2f} | {growth:+.0%} | {done} |"
        )
    return "\n".join(rows), holds


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the report, and save it if `--save` is given."""
    parser = argparse.ArgumentParser(prog="python -m bench.live.beside", description=__doc__)
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--sessions", type=int, default=2)
    parser.add_argument("--length", type=float, default=40.0, help="seconds that each speaks")
    parser.add_argument("--speech", type=Path, default=SPEECH)
    parser.add_argument("--save", type=Path, default=None)
    options = parser.parse_args(arguments)
    env = {
        "LONGHAND_DEFAULT_MODEL": options.model,
        "LONGHAND_MODELS_DIR": str(WorkerSettings().models_dir.expanduser()),
        "LONGHAND_LIVE_SESSIONS": str(options.sessions),
    }
    try:
        pcm = spoken(options.length, options.speech)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    phases = _phases(pcm, env, options.sessions)
    text, holds = report(phases)
    about = machine(("faster-whisper", "ctranslate2"))
    body = (
        f"{about}, load {load_average()}; {options.model}, {options.sessions} sessions.\n\n{text}"
    )
    keep("live-beside", "Live sessions beside files", body, options.save)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
