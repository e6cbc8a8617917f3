"""The nginx that ships, as a process of this machine in front of gateways of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from needs import missing
from waiting import wait_until

from cli.redis_server import free_port
from shared.settings import CHECKOUT

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


@contextmanager
def running_nginx(
    folder: Path,
    gateway: str,
    *,
    live: str | None = None,
    password: str = "",
    changes: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """
    Run nginx with the configuration that ships, its paths and ports alone changed; its URL.

    Args:
        folder: An empty one.
        gateway: Where the gateway listens, as `127.0.0.1:8499`.
        live: Where `gateway.live` does; None where nothing asks for it.
        password: Of a user `ann`; without it nobody has one.
        changes: Other texts of the configuration by the ones that stand there.
        settings: Variables that `deploy/nginx/start` reads.
    """
    binary = shutil.which("nginx", path=_PATH)
    if binary is None:
        missing("nginx is missing; on Debian, apt-get install nginx")
    port, health_port = free_port(), free_port()
    changed = {
        "gateway:8499": gateway,
        "live:8500": live or gateway,
        "127.0.0.1:8090": f"127.0.0.1:{health_port}",
        "listen 8080": f"listen 127.0.0.1:{port}",
        "/etc/longhand": str(folder),
        "/tmp/": f"{folder}/tmp/",
        "/dev/stdout": f"{folder}/access.log",
    }
    _copy(folder, changed | dict(changes or {}))
    (folder / "htpasswd").write_text(f"ann:{{PLAIN}}{password}\n" if password else "")
    options = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    with (folder / "nginx.log").open("wb") as log:
        child = subprocess.Popen(
            ["sh", str(folder / "nginx" / "start"), "-g", options],
            env={"PATH": f"{Path(binary).parent}:{_PATH}", **(settings or {})},
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: _answers(health_port) or child.poll() is not None, 30, "nginx answers")
        assert child.poll() is None, (folder / "nginx.log").read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(20)


def _copy(folder: Path, changes: Mapping[str, str]) -> None:
    """The configuration, and the one listener that asks for a password."""
    wanted = re.compile("|".join(map(re.escape, changes)))
    shutil.copytree(CHECKOUT / "deploy" / "nginx", folder / "nginx")
    for path in (folder / "nginx").rglob("*"):
        if path.is_file():
            path.write_text(wanted.sub(lambda found: changes[found[0]], path.read_text()))
    (folder / "sites").mkdir()
    shutil.copy(folder / "nginx" / "sites" / "plain.conf", folder / "sites")
    (folder / "tmp").mkdir()


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/", timeout=5):
            return True
    except (URLError, OSError):
        return False
