"""One log format for every process; `job_id` stands on every line that is about a job."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_JOB_ID: ContextVar[str] = ContextVar("job_id", default="")


@contextmanager
def job_logged(job_id: str) -> Iterator[None]:
    """Put `job_id` on every line logged by this thread within the block."""
    token = _JOB_ID.set(job_id)
    try:
        yield
    finally:
        _JOB_ID.reset(token)


class _Text(logging.Formatter):
    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(job)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        job_id = _JOB_ID.get()
        record.job = f"job={job_id} " if job_id else ""
        return super().format(record)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if job_id := _JOB_ID.get():
            line["job_id"] = job_id
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logs(level: str, form: str) -> None:
    """
    Log to stderr.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        form: `text` or `json`, one object a line.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("rq", "rq.worker", "faster_whisper", "httpx", "httpcore", "waitress.queue"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))
