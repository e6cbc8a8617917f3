"""A real disk that is full: nothing half-written, and nothing harmed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import needs

FILL = """
import sys
import time
from pathlib import Path
from shared.errors import StorageFull
from shared.storage import open_storage

root = Path(sys.argv[1])
storage = open_storage(root)
try:
    with storage.create("jobs/1/audio") as out:
        out.write(b"x" * 100_000)
except StorageFull:
    print([p.name for p in root.rglob("*") if p.is_file()])
with storage.create("jobs/2/audio") as out:
    out.write(b"x" * 10_000)
print(len(storage.read("jobs/2/audio")))
"""


def test_a_full_disk_stores_nothing_and_serves_on(tmp_path):
    """On a real file system of 64 kB, in a mount namespace of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    own_mounts = ["unshare", "--user", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*own_mounts, "true"]).returncode:
        needs.missing("this machine lets nobody make a mount namespace")
    script = f'mount -t tmpfs -o size=64k tmpfs "$1" && exec "{sys.executable}" -c "$2" "$1"'
    filled = subprocess.run(
        [*own_mounts, "sh", "-c", script, "sh", str(disk), FILL],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )

    assert (filled.stdout.splitlines(), filled.stderr) == (["[]", "10000"], "")
