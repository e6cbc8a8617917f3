"""One file through a private stack, from upload to transcript."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import click

from cli.calls import GatewayCalls, RequestRefused
from cli.processes import ChildFailed
from cli.progress import ProgressLine
from cli.redis_server import RedisNotFound
from cli.stack import Stack
from shared.formats import FORMATS
from shared.settings import CHECKOUT

_POLL_S = 0.1


class DemoFailed(click.ClickException):
    """The demo printed no transcript; the message says why."""


def run_demo(audio: Path, format_name: str) -> None:
    """
    Print the transcript of `audio`, and nothing else, on standard output.

    What happens meanwhile is told on standard error. Everything that was
    started is stopped, and nothing of it is kept.
    """
    _check_inputs(audio, format_name)
    progress = ProgressLine(sys.stderr)
    # Not always removed by the last who writes there: a killed worker may have left a file open.
    with (
        tempfile.TemporaryDirectory(prefix="longhand-demo-", ignore_cleanup_errors=True) as name,
        progress,
    ):
        progress.show("starting Redis, gateway and worker")
        try:
            # The demo model needs no GPU, and a GPU may lack libraries.
            with Stack(Path(name), env={"LONGHAND_DEVICE": "cpu"}) as stack:
                result = _transcribe(stack, audio, format_name, progress)
                progress.show("stopping")
        except (ChildFailed, RedisNotFound, RequestRefused, OSError) as error:
            raise DemoFailed(str(error)) from error
    _print_result(result)


def _check_inputs(audio: Path, format_name: str) -> None:
    if format_name not in FORMATS:
        raise DemoFailed(f"format {format_name!r} is not known; it is one of {', '.join(FORMATS)}")
    if not audio.is_file():
        raise DemoFailed(f"there is no file {audio}")
    model = CHECKOUT / "models" / "demo"
    if not (model / "model.bin").is_file():
        raise DemoFailed(f"the demo model is missing: {model} should have come with the repository")


def _transcribe(stack: Stack, audio: Path, format_name: str, progress: ProgressLine) -> bytes:
    gateway = GatewayCalls(stack.port)
    progress.show(f"uploading {audio.name}")
    job_id = gateway.upload(audio)
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
