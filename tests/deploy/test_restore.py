"""What deploy/restore lays out before it needs Docker."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]


def test_an_archive_from_before_there_were_keys_has_a_place_made_for_them(tmp_path: Path) -> None:
    """The site mounts it, and what runs there under another user looks into it."""
    (tmp_path / "deploy").mkdir()
    shutil.copy(CHECKOUT / "deploy" / "restore", tmp_path / "deploy")
    archive = tmp_path / "old.tar"
    with tarfile.open(archive, "w") as out:
        for name in ("env", "htpasswd", "redis.tar", "storage.tar"):
            (tmp_path / name).touch()
            out.add(tmp_path / name, name)
    no_docker = {"PATH": "/usr/bin:/bin", "DOCKER_HOST": "unix:///nowhere"}
    ended = subprocess.run([tmp_path / "deploy" / "restore", archive], env=no_docker)
    keys = tmp_path / "deploy" / "secrets" / "keys"

    assert ended.returncode != 0
    assert keys.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / ".env").exists()
