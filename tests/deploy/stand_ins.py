"""
Base images where there is no registry: Debian packages under the names that our files use.

Only for the throwaway daemon of `tools/docker_sandbox`. What comes of it is
that our Dockerfiles, compose files and nginx configuration run unchanged.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from commands import DOCKER, CommandFailed, output, run

_ROOT = "longhand-stand-in"
_PACKAGES = "python3,python3-venv,ca-certificates,curl"
_PULL_DEADLINE_S = 300

# Users have the numbers they have in the true images: compose.yaml names them.
_PYTHON = "FROM {root}\n"
_REDIS = """\
FROM {root}
RUN groupadd --gid 999 redis && useradd --uid 999 --gid 999 --home-dir /data redis \\
    && apt-get update && apt-get install -y --no-install-recommends redis-server \\
    && install -d -o redis -g redis /data
WORKDIR /data
"""
_NGINX = """\
FROM {root}
RUN groupadd --gid 101 nginx && useradd --uid 101 --gid 101 --no-create-home nginx \\
    && apt-get update && apt-get install -y --no-install-recommends nginx
"""
_DOCKERFILES = {"python": _PYTHON, "redis": _REDIS, "nginx": _NGINX}


def provide_bases(images: list[str]) -> list[str]:
    """
    Make sure that images are here; the names of those that are stand-ins.

    Whatever can be pulled is pulled.
    """
    stand_ins = []
    for image in images:
        kind = image.rpartition("/")[2].partition(":")[0]
        if not _is_here(image) and not _pull(image):
            _build(image, _DOCKERFILES[kind])
        if _label(image):
            stand_ins.append(image)
    return stand_ins


def _label(image: str) -> str:
    form = '{{index .Config.Labels "longhand.stand-in"}}'
    return output(DOCKER, "image", "inspect", "--format", form, image)


def _is_here(image: str) -> bool:
    return run(DOCKER, "image", "inspect", image, check=False).returncode == 0


def _pull(image: str) -> bool:
    try:
        return run(DOCKER, "pull", image, check=False, deadline_s=_PULL_DEADLINE_S).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _build(image: str, dockerfile: str) -> None:
    if not _is_here(_ROOT):
        _bootstrap()
    recipe = dockerfile.format(root=_ROOT).replace("\n", "\n        ")
    with tempfile.TemporaryDirectory() as empty:
        Path(empty, "stand-in.yaml").write_text(
            f"""\
services:
  it:
    image: {image}
    build:
      labels: [longhand.stand-in=yes]
      dockerfile_inline: |
        {recipe}
"""
        )
        run(DOCKER, "compose", "--file", f"{empty}/stand-in.yaml", "build", "--quiet")


def _bootstrap() -> None:
    """A Debian root with a Python, that finds packages as this machine does."""
    assert shutil.which("mmdebstrap"), "run tools/system_packages deploy"
    with tempfile.TemporaryDirectory() as given:
        _write_configuration(Path(given) / "etc")
        hooks = [
            f"copy-in {given}/etc /",
            'ln -sf /usr/bin/python3 "$1/usr/local/bin/python"',
            'ln -sf /usr/bin/python3 "$1/usr/local/bin/python3"',
        ]
        sources = sorted(map(str, Path("/etc/apt/sources.list.d").glob("debian.sources")))
        command = ["mmdebstrap", "--quiet", "--format=tar", "--variant=minbase"]
        command += [f"--include={_PACKAGES}", *(f"--customize-hook={hook}" for hook in hooks)]
        command += ["bookworm", "-", *(sources or ["/etc/apt/sources.list"])]
        # Thousands of small files: in memory that is half a minute less.
        env = os.environ | {"TMPDIR": "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"}
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        bundle = "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"
        taking = [DOCKER, "import", "--change", f"ENV {path} {bundle}", "-", _ROOT]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as bootstrap:
            subprocess.run(taking, stdin=bootstrap.stdout, stdout=subprocess.DEVNULL, check=True)
        if bootstrap.returncode != 0:
            run(DOCKER, "image", "rm", _ROOT)
            raise CommandFailed("mmdebstrap failed; what it said is above")


def _write_configuration(etc: Path) -> None:
    """What this machine trusts, and where it is told to look for Python packages."""
    (etc / "ssl" / "certs").mkdir(parents=True)
    bundle = os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt")
    shutil.copy(bundle, etc / "ssl" / "certs" / "ca-certificates.crt")
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL")
    pip = ["[global]", "cert = /etc/ssl/certs/ca-certificates.crt"]
    if index:
        pip.append(f"index-url = {index}")
        (etc / "uv").mkdir()
        (etc / "uv" / "uv.toml").write_text(f'index-url = "{index}"\n')
    (etc / "pip.conf").write_text("\n".join(pip) + "\n")
