"""A copy of the checkout, deployed: its compose commands, its containers and its HTTP side."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from commands import DOCKER, output, run
from waiting import wait_until

_SHIPPED = (
    ".dockerignore",
    "Makefile",
    "cli",
    "compose.yaml",
    "compose.gpu.yaml",
    "compose.internal.yaml",
    "compose.ports.yaml",
    "compose.tls.yaml",
    "constraints.txt",
    "deploy",
    "gateway",
    "longhand",
    "models/demo",
    "models/demo-aligner-en",
    "models/demo-diarization",
    "pyproject.toml",
    "shared",
    "worker",
)
PROJECT = "longhand-test"
INTERNAL = "172.17.0.1"
"""This machine as a container on any network of Docker reaches it."""

JOB_DEADLINE_S = 120
MAX_AUDIO_BYTES = 30_000_000

SETTINGS: Mapping[str, str] = {
    "LONGHAND_DEFAULT_MODEL": "demo",
    "LONGHAND_DOWNLOADS": "false",
    "LONGHAND_MAX_AUDIO_BYTES": str(MAX_AUDIO_BYTES),
    # A worker that has a job takes no other: three that wait then go to three workers.
    "LONGHAND_SLOTS": "1",
    # Several workers share the cores, and texts are compared with what one thread writes.
    "LONGHAND_ENGINE_THREADS": "1",
    "LONGHAND_LEASE_S": "10",
    "LONGHAND_INTERNAL_BIND": INTERNAL,
    "LONGHAND_TAG": "test",
    "LONGHAND_WORKER_EXTRAS": "worker",
    "HF_TOKEN": "hf_for_tests_only_0123456789",
    "COMPOSE_PROJECT_NAME": PROJECT,
}


def copy_checkout(source: Path, target: Path) -> None:
    """Copy all that a deployment is made of, and nothing a checkout keeps to itself."""
    for name in _SHIPPED:
        if (source / name).is_dir():
            skipped = shutil.ignore_patterns("__pycache__", "secrets")
            shutil.copytree(source / name, target / name, ignore=skipped)
        else:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, target / name)


@dataclass
class Deployment:
    """
    A deployment of the checkout in `directory`.

    Attributes:
        password: Of the user `longhand`, as `deploy/setup` printed it.
        files: Compose files, where not `compose.yaml` alone.
    """

    directory: Path
    port: int
    up_deadline_s: int = 200
    password: str = ""
    files: tuple[str, ...] = ("compose.yaml",)
    _env: dict[str, str] = field(default_factory=dict)
    _opened: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        ours = ("LONGHAND_", "COMPOSE_", "REDIS_", "HF_")
        self._env = {n: v for n, v in os.environ.items() if not n.startswith(ours)}

    def set_up(self) -> None:
        """Run `deploy/setup`, after the settings of a test are in `.env`."""
        settings = dict(SETTINGS) | {"LONGHAND_HTTP_PORT": str(self.port)}
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        (self.directory / ".env").write_text("".join(lines))
        said = output(str(self.directory / "deploy" / "setup"), cwd=self.directory)
        found = re.search(r"user longhand is let in with the password (\S+)", said)
        assert found is not None, said
        self.password = found[1]
        # What setup found out of this machine must not decide what is tested.
        text = (self.directory / ".env").read_text()
        text = re.sub(r"^COMPOSE_FILE=.*\n", "", text, flags=re.MULTILINE)
        (self.directory / ".env").write_text(text)

    @property
    def redis_password(self) -> str:
        """The one `deploy/setup` made up."""
        found = re.search(r"^REDIS_PASSWORD=(.*)$", (self.directory / ".env").read_text(), re.M)
        assert found is not None
        return found[1]

    def compose(
        self, *arguments: str, env: Mapping[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a compose command."""
        files = [part for name in self.files for part in ("--file", name)]
        return run(
            DOCKER,
            "compose",
            *files,
            *arguments,
            cwd=self.directory,
            env=self._env | dict(env or {}),
            check=check,
        )

    def config(self, *overlays: str) -> dict[str, Any]:
        """What compose understands of `compose.yaml` and files laid over it."""
        files = [part for name in ("compose.yaml", *overlays) for part in ("--file", name)]
        asked = (DOCKER, "compose", *files, "config", "--format", "json")
        return dict(json.loads(run(*asked, cwd=self.directory, env=self._env).stdout))

    def up(self, *arguments: str, env: Mapping[str, str] | None = None, n_workers: int = 3) -> None:
        """`docker compose up --wait --scale worker=N`."""
        self.compose(
            "up", "--detach", "--quiet-pull",
            "--wait", "--wait-timeout", str(self.up_deadline_s),
            "--scale", f"worker={n_workers}", *arguments, env=env,
        )  # fmt: skip

    def make(self, *arguments: str, given: str | None = None) -> str:
        """What a make target printed."""
        # Within `make test-deploy` it would tell which directory it leaves, after all else.
        done = run(
            "make",
            "--no-print-directory",
            *arguments,
            cwd=self.directory,
            env=self._env,
            given=given,
        )
        return done.stdout + done.stderr

    def containers(self, service: str = "") -> list[str]:
        """Ids of the containers, of one service or of all, also those that have ended."""
        return self.compose(
            "ps", "--all", "--quiet", *([service] if service else [])
        ).stdout.split()

    def inspect(self, service: str = "") -> list[dict[str, Any]]:
        """All that Docker knows of the containers."""
        ids = self.containers(service)
        return list(json.loads(output(DOCKER, "inspect", *ids))) if ids else []

    def redis(self, *command: str) -> str:
        """What Redis answers."""
        return self.compose("exec", "-T", "redis", "redis-cli", *command).stdout.strip()

    def client(self, user: str = "longhand", password: str | None = None) -> httpx2.Client:
        """A caller through nginx, until `close`."""
        client = httpx2.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            auth=(user, self.password if password is None else password),
            timeout=60,
        )
        self._opened.callback(client.close)
        return client

    def close(self) -> None:
        """Hang up all callers."""
        self._opened.close()


def upload(client: httpx2.Client, audio: bytes, **options: str) -> str:
    """Send audio, for a run of its own whatever was heard before; the id of the job."""
    form = {"file": ("speech.wav", audio)}
    answer = client.post("/transcribe/file", files=form, data={"cache": "false", **options})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def job(client: httpx2.Client, job_id: str) -> dict[str, Any]:
    """What is known of a job; {} while the site cannot tell."""
    answer = client.get(f"/jobs/{job_id}")
    if answer.status_code >= 500 or answer.status_code == 429:
        return {}
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def finished(client: httpx2.Client, job_id: str) -> dict[str, Any]:
    """A job once it has succeeded."""
    ended = ("succeeded", "failed", "cancelled")
    value: dict[str, Any] = wait_until(
        lambda: (found := job(client, job_id)).get("status") in ended and found,
        JOB_DEADLINE_S,
        f"job {job_id} has ended",
    )
    assert value["status"] == "succeeded", value
    return value


def text_of(client: httpx2.Client, job_id: str) -> str:
    """The text of a job, once it has succeeded."""
    finished(client, job_id)
    answer = client.get(f"/jobs/{job_id}/result")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["text"])
