"""A worker of another project, which has Redis's address and the storage and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deployment import INTERNAL, PROJECT, Deployment, copy_checkout, text_of, upload
from spoken import draw_clips

pytestmark = [pytest.mark.deploy, pytest.mark.main_job]

OVERRIDE = f"""\
volumes:
  storage: {{external: true, name: {PROJECT}_storage}}
"""


@pytest.fixture
def public_host(sandbox: None, site: Deployment) -> Iterator[Deployment]:
    """The site, with Redis at an internal address and no worker of its own."""
    alone = site.files
    site.files = ("compose.yaml", "compose.internal.yaml")
    site.up(n_workers=0)
    yield site
    site.compose("down", "--timeout", "2")
    site.files = alone


@pytest.fixture
def worker_host(public_host: Deployment, source: Path, tmp_path: Path) -> Iterator[Deployment]:
    """Another checkout, set up as docs/deploy.md says."""
    copy_checkout(source, tmp_path)
    settings = (public_host.directory / ".env").read_text()
    settings = re.sub(
        "(?m)^COMPOSE_PROJECT_NAME=.*$", f"COMPOSE_PROJECT_NAME={PROJECT}-2", settings
    )
    # On a true second machine the networks could be the same.
    settings += f"LONGHAND_REDIS_HOST={INTERNAL}\nLONGHAND_FRONT_SUBNET=198.18.86.0/24\n"
    (tmp_path / ".env").write_text(settings)
    (tmp_path / "compose.override.yaml").write_text(OVERRIDE)
    files = ("compose.yaml", "compose.override.yaml")
    host = Deployment(tmp_path, port=0, files=files)
    yield host
    host.compose("down", "--volumes", "--timeout", "2")


def test_a_worker_elsewhere_needs_redis_and_storage_and_nothing_to_reach_it(
    public_host: Deployment,
    worker_host: Deployment,
    hear: Callable[[Path], str],
    tmp_path: Path,
) -> None:
    [clip] = draw_clips(tmp_path, 1, seed=2000)
    client = public_host.client()
    job_id = upload(client, clip.path.read_bytes())
    worker_host.compose("up", "--detach", "--no-deps", "--wait", "--scale", "worker=1", "worker")

    assert text_of(client, job_id) == hear(clip.path)
    [worker] = worker_host.inspect()
    name = public_host.redis("hget", f"longhand:job:{job_id}", "worker")
    assert name.startswith(worker["Id"][:12])
    assert not any((worker["NetworkSettings"]["Ports"] or {}).values())
    assert public_host.containers("worker") == []
