"""`longhand demo`: one file through a private stack, from upload to transcript."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click

from cli.calls import GatewayCalls, RequestRefused
from cli.chosen_model import choose_model
from cli.processes import ChildFailed
from cli.progress import ProgressLine
from cli.redis_server import RedisNotFound
from cli.settings import only, own_settings
from cli.stack import Stack, Watch
from shared.formats import FORMATS
from shared.settings import CHECKOUT

CONVERSATION = CHECKOUT / "samples" / "conversation.flac"
PHRASES = CHECKOUT / "samples" / "demo.wav"
"""The only recording that the phrase-book understands."""

_POLL_S = 0.1
_OF_ENGINES = ("LONGHAND_ENGINE", "LONGHAND_ENGINE_THREADS", "LONGHAND_COMPUTE_TYPE")
"""The caller's settings that are used here, beside those of the model."""


class DemoFailed(click.ClickException):
    """There is no transcript; the message says why."""


def run_demo(audio: Path | None, format_name: str) -> None:
    """
    Print the transcript of `audio`, and nothing else, on standard output.

    Progress goes to standard error. All that was started is stopped, and nothing is kept but a
    model that was fetched.

    Args:
        audio: None for a sample that the model understands.

    Raises:
        ClickException: There is no transcript; the message says why.
    """
    _check_inputs(audio, format_name)
    chosen = choose_model()
    # The sample is a conversation, so its transcript says who speaks.
    has_speakers = not (audio or chosen.is_phrase_book or chosen.sentence)
    audio = audio or (PHRASES if chosen.is_phrase_book else CONVERSATION)
    # On the CPU: these models are small, and the libraries for a GPU may be missing.
    env = only(_OF_ENGINES, own_settings()) | {**chosen.env, "LONGHAND_DEVICE": "cpu"}
    progress = ProgressLine(sys.stderr)
    # Errors of removal are ignored, since a killed worker may still write there.
    with (
        tempfile.TemporaryDirectory(prefix="longhand-demo-", ignore_cleanup_errors=True) as name,
        progress,
    ):
        try:
            with Stack(Path(name), env=env, watch=Watch(progress.show)) as stack:
                job_id = _submit(stack, audio, progress, diarize=has_speakers)
                result = _follow(stack, job_id, format_name, progress)
                progress.show("stopping")
        except (ChildFailed, RedisNotFound, RequestRefused, OSError) as error:
            raise DemoFailed(str(error)) from error
    _print_result(result)


def _check_inputs(audio: Path | None, format_name: str) -> None:
    if format_name not in FORMATS:
        raise DemoFailed(f"format {format_name!r} is not known; it is one of {', '.join(FORMATS)}")
    if audio is not None and not audio.is_file():
        raise DemoFailed(f"there is no file {audio}")


def _submit(stack: Stack, audio: Path, progress: ProgressLine, *, diarize: bool) -> str:
    progress.show(f"uploading {audio.name}")
    return GatewayCalls(stack.port).upload(audio, diarize=diarize)


def _follow(stack: Stack, job_id: str, format_name: str, progress: ProgressLine) -> bytes:
    gateway = GatewayCalls(stack.port)
    while True:
        job = gateway.job(job_id)
        status = job["status"]
        if status == "succeeded":
            return gateway.result(job_id, format_name)
        if status in ("failed", "cancelled"):
            raise DemoFailed(_reason(job))
        if status == "running":
            progress.show(job.get("stage") or "running", job.get("progress"))
        else:
            progress.show(status)
        stack.check()
        time.sleep(_POLL_S)


def _reason(job: dict[str, object]) -> str:
    error = job.get("error")
    if isinstance(error, dict):
        error = error.get("message")
    return f"the job {job['status']}: {error}" if error else f"the job {job['status']}"


def _print_result(result: bytes) -> None:
    sys.stdout.buffer.write(result if result.endswith(b"\n") else result + b"\n")
    sys.stdout.buffer.flush()
