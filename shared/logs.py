"""
The log format of every process.

Our code and libraries log by the standard library. structlog formats each line, with the
`job_id` and `request_id` that are bound to the thread at that moment. The log file may be written
by several processes: gateway, worker and the worker's children.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path

from structlog.contextvars import bound_contextvars, get_contextvars, merge_contextvars
from structlog.processors import format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter
from structlog.typing import EventDict, WrappedLogger

LINE_FIELDS = ("method", "path", "status", "seconds", "bytes", "owner")
"""Fields of a line besides its message; code passes them in `extra=`."""

_BOUND = {"job_id": "job", "request_id": "request"}
"""Fields that may be bound to a thread, and their names in text lines."""

_QUIET = (
    "rq", "rq.worker", "faster_whisper", "httpx", "httpcore", "waitress.queue", "uvicorn.access",
    "uvicorn.error",  # logs the query of each WebSocket, which may have a key
)  # fmt: skip
"""Libraries that log more than an operator needs."""

LOG_FILE_BYTES = 10_000_000
KEPT_FILES = 5
"""Full files that are kept, from `app.log.1`, the newest, to `app.log.5`."""


@contextmanager
def job_logged(job_id: str, *, request_id: str | None = None) -> Iterator[None]:
    """
    Put `job_id` on every line logged by this thread within the block.

    Args:
        request_id: The request that the job came with, for a thread that does not answer it.
    """
    bound = {"job_id": job_id} | ({"request_id": request_id} if request_id else {})
    with bound_contextvars(**bound):
        yield


@contextmanager
def request_logged(request_id: str) -> Iterator[None]:
    """Put `request_id` on every line logged by this thread within the block."""
    with bound_contextvars(request_id=request_id):
        yield


def bound_request_id() -> str | None:
    """The request that this thread answers; None if it answers none."""
    found: str | None = get_contextvars().get("request_id")
    return found


def configure_logs(level: str, form: str, file: str = "") -> None:
    """
    Log to stderr.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        form: `text` or `json`, one object a line.
        file: Gets the same lines; "" for none.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    problem: OSError | None = None
    if file:
        try:
            handlers.append(SharedLogFile(Path(file), max_bytes=LOG_FILE_BYTES))
        except OSError as error:
            problem = error  # the program goes on without its log file
    for handler in handlers:
        handler.setFormatter(
            ProcessorFormatter(
                processors=[_as_json if form == "json" else _as_text],
                foreign_pre_chain=[merge_contextvars, ExtraAdder(LINE_FIELDS), format_exc_info],
            )
        )
    logging.basicConfig(level=level.upper(), handlers=handlers, force=True)
    for chatty in _QUIET:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
    if problem:
        logging.getLogger(__name__).error("LONGHAND_LOG_FILE cannot be written: %s", problem)


def _as_json(_logger: WrappedLogger, level: str, event: EventDict) -> str:
    record: logging.LogRecord = event["_record"]
    line: dict[str, object] = {
        "time": round(record.created, 3),
        "level": level,
        "logger": record.name,
        "message": event["event"],
    }
    line |= {name: event[name] for name in (*_BOUND, *LINE_FIELDS) if name in event}
    if "exception" in event:
        line["traceback"] = event["exception"]
    return json.dumps(line, ensure_ascii=False, default=str)


def _as_text(_logger: WrappedLogger, level: str, event: EventDict) -> str:
    record: logging.LogRecord = event["_record"]
    clock = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    bound = [f"{short}={event[name]}" for name, short in _BOUND.items() if name in event]
    said = [f"{name}={event[name]}" for name in LINE_FIELDS if name in event]
    words = (clock.replace("+00:00", "Z"), level.upper(), record.name, *bound, event["event"])
    line = " ".join([*words, *said])
    return f"{line}\n{event['exception']}" if "exception" in event else line


class SharedLogFile(logging.FileHandler):
    """
    A log file that several processes write; a full one is renamed.

    The standard library's `RotatingFileHandler` is for one process: two would each rename the
    file that the other has just begun. Here they take turns with a lock file. Each sees from
    the file's inode that another process has renamed it.

    Args:
        path: Its folder is made if it does not exist.
        max_bytes: A file of this size is full.

    Raises:
        OSError: The file cannot be written.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, encoding="utf-8")
        self._path = path.absolute()
        self._max_bytes = max_bytes

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            stream = self.stream
            if stream is None or self._is_renamed(stream):
                stream = self._open_again(stream)
            if os.fstat(stream.fileno()).st_size >= self._max_bytes:
                self._rename(stream)
        except OSError:
            self.handleError(record)
        super().emit(record)

    def _is_renamed(self, stream: TextIOWrapper) -> bool:
        try:
            here = self._path.stat()
        except FileNotFoundError:
            return True
        return not os.path.samestat(here, os.fstat(stream.fileno()))

    def _open_again(self, old: TextIOWrapper | None) -> TextIOWrapper:
        fresh = self.stream = self._open()
        if old is not None:
            old.close()
        return fresh

    def _rename(self, stream: TextIOWrapper) -> None:
        with self._numbered("lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._is_renamed(stream):  # by another, meanwhile
                for n in range(KEPT_FILES - 1, 0, -1):
                    if self._numbered(n).exists():
                        self._numbered(n).replace(self._numbered(n + 1))
                self._path.replace(self._numbered(1))
            self._open_again(stream)

    def _numbered(self, suffix: int | str) -> Path:
        return self._path.with_name(f"{self._path.name}.{suffix}")
