"""Callers of live sessions who write into Redis what gateway.live writes, and workers for them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from needs import missing
from real_speech import samples_of
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from shared.keys import LIVE_AUDIO, LIVE_GATEWAY, LIVE_SESSION, LIVE_UPDATES
from shared.live.request import LiveRequest
from shared.live.updates import LiveUpdate, LiveWord
from shared.live.wire import OPEN, AudioEntry
from shared.settings import CHECKOUT

RATE_HZ = 16_000
_ENTRY_S = 0.1
_KEPT_S = 30

SPEECH = CHECKOUT.parent / "shared" / "speech"
SPOKEN = ("libri-1088-0000", "libri-1995-0001")


def read_speech(folder: Path) -> tuple[bytes, str]:
    """About half a minute of real speech as 16-bit samples, and its text."""
    manifest = SPEECH / "manifest.json"
    if not manifest.is_file():
        missing(f"no recordings of speech at {SPEECH}")
    known = {entry["id"]: entry for entry in json.loads(manifest.read_text())}
    chosen = [known[name] for name in SPOKEN]
    pcm = b"".join(samples_of(SPEECH / c["file"], folder).tobytes() for c in chosen)
    return pcm, " ".join(c["text"] for c in chosen)


class LiveCaller:
    """
    One session: speaks in real time, and notes what comes back and when.

    While Redis is away it tries again, and then writes again what Redis may have forgotten.
    """

    def __init__(self, url: str, pcm: bytes) -> None:
        self._redis = Redis.from_url(url, socket_timeout=5)
        self.id = uuid.uuid4().hex
        self._gateway = f"caller-{self.id[:6]}"
        self._pcm = pcm
        self.words: list[LiveWord] = []
        self.heard_at: list[float] = []
        self.problems: list[str] = []
        self.is_over = threading.Event()
        self.n_gaps = 0
        self._sign()
        request = LiveRequest(model="tiny.en", language="en").model_dump_json()
        opened: Any = self._redis.eval(
            OPEN, 0, self.id, "someone", request, "tiny.en", self._gateway, 100, 100
        )
        assert opened == b"open"
        self._threads = [
            threading.Thread(target=run, daemon=True) for run in (self._speak, self._listen)
        ]

    @property
    def worker(self) -> str:
        """The worker that has the session; "" if none."""
        name: Any = self._redis.hget(LIVE_SESSION.of(self.id), "worker")
        return name.decode() if name else ""

    @property
    def text(self) -> str:
        """What was committed so far."""
        return "".join(word.text for word in self.words)

    def start(self) -> None:
        """Begin to speak."""
        for thread in self._threads:
            thread.start()

    def _sign(self) -> None:
        self._redis.set(LIVE_GATEWAY.of(self._gateway), "1", ex=60)

    def _speak(self) -> None:
        started, kept = time.monotonic(), []
        step = int(_ENTRY_S * RATE_HZ)
        n_samples = len(self._pcm) // 2
        for end in [*range(step, n_samples, step), n_samples]:
            start = (end - 1) // step * step
            kept.append(AudioEntry(end, 0, self._pcm[2 * start : 2 * end]))
            time.sleep(max(0.0, started + end / RATE_HZ - time.monotonic()))
            self._write(kept)
        kept.append(AudioEntry(n_samples, 1, ask="end"))
        self._write(kept)

    def _write(self, kept: list[AudioEntry]) -> None:
        while kept[0].end < kept[-1].end - _KEPT_S * RATE_HZ:
            kept.pop(0)
        missing = kept[-1:]
        while True:
            try:
                for entry in missing:
                    self._add(entry)
                return
            except RedisError:
                time.sleep(0.2)
                missing = kept

    def _add(self, entry: AudioEntry) -> None:
        fields: Any = entry.fields
        try:
            self._redis.xadd(LIVE_AUDIO.of(self.id), fields, id=entry.id)
        except ResponseError as error:  # it is there already
            if "equal or smaller" not in str(error):
                raise RedisError(str(error)) from error

    def _listen(self) -> None:
        at: Any = "0-0"
        while not self.is_over.is_set():
            try:
                self._sign()
                found: Any = self._redis.xread({LIVE_UPDATES.of(self._gateway): at}, block=500)
            except RedisError:
                time.sleep(0.2)
                continue
            streams = found.items() if isinstance(found, dict) else found
            for _key, entries in streams:
                flat = entries[0] if entries and isinstance(entries[0], list) else entries
                for entry_id, fields in flat:
                    at = entry_id
                    self._take(LiveUpdate.model_validate_json(fields[b"update"]))

    def _take(self, update: LiveUpdate) -> None:
        known = len(self.words) - update.n_before
        self.n_gaps += known < 0
        new = update.committed[max(0, known) :]
        self.words.extend(new)
        self.heard_at.extend([time.monotonic()] * len(new))
        if update.problem:
            self.problems.append(update.problem)
        if update.is_last:
            self.is_over.set()


class LiveWorkers:
    """Real workers with real weights."""

    def __init__(self, url: str, models_dir: Path, folder: Path) -> None:
        self._folder = folder
        self._env = {
            "PATH": os.environ["PATH"],
            "OMP_NUM_THREADS": "1",
            "LONGHAND_REDIS_URL": url,
            "LONGHAND_STORAGE_DIR": str(folder / "storage"),
            "LONGHAND_SCRATCH_DIR": str(folder / "scratch"),
            "LONGHAND_MODELS_DIR": str(models_dir),
            "LONGHAND_DEFAULT_MODEL": "tiny.en",
            "LONGHAND_DOWNLOADS": "false",
            "LONGHAND_DEVICE": "cpu",
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, n_sessions: int) -> subprocess.Popen[bytes]:
        """Start a worker that takes so many sessions."""
        own = {"LONGHAND_NAME": name, "LONGHAND_LIVE_SESSIONS": str(n_sessions)}
        with (self._folder / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "worker"], cwd=CHECKOUT, env=self._env | own, stderr=log
            )
        self._started.append(child)
        return child

    def log(self, name: str) -> str:
        """What a worker has logged."""
        return (self._folder / f"{name}.log").read_text(errors="replace")

    def close(self) -> None:
        """Kill them all."""
        for child in self._started:
            child.kill()
            child.wait()
