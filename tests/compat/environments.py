"""Environments of other people's clients: one each, as `clients.toml` pins it, kept in a cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from needs import missing

from shared.settings import CHECKOUT

CACHE = CHECKOUT / ".cache" / "compat"
_N_AT_ONCE = 4
_INSTALL_S = 400
_RUN_S = 240
_DONE = "done"


class Environments:
    """All of them, made side by side from the moment this is; each is waited for when asked for."""

    def __init__(self) -> None:
        wanted = tomllib.loads((Path(__file__).parent / "clients.toml").read_text())
        self._pool = ThreadPoolExecutor(_N_AT_ONCE)
        # Node's first: its clients are asked for last, but installed slowest.
        self._made: dict[str, Future[Path]] = {
            f"{kind}/{name}": self._pool.submit(_make, kind, name, needs)
            for kind in ("node", "python")
            for name, needs in wanted[kind].items()
        }

    def python(self, name: str) -> Path:
        """The interpreter that has the clients of this name."""
        return self._folder(f"python/{name}") / "bin" / "python"

    def node(self, name: str) -> Path:
        """The folder whose `node_modules` hold the clients of this name."""
        return self._folder(f"node/{name}")

    def _folder(self, name: str) -> Path:
        try:
            return self._made[name].result(_INSTALL_S)
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or ""
            missing(f"the clients {name!r} cannot be installed: {error}\n{said}")

    def close(self) -> None:
        """Wait for what is being made."""
        self._pool.shutdown(cancel_futures=True)


def _make(kind: str, name: str, needs: Any) -> Path:
    """Make an environment, unless the same is in the cache."""
    version = hashlib.sha256(json.dumps([needs, sys.version_info[:2]]).encode()).hexdigest()[:12]
    folder = CACHE / f"{kind}-{name}-{version}"
    if not (folder / _DONE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _make_python(folder, needs) if kind == "python" else _make_node(folder, needs)
        (folder / _DONE).touch()
    return folder


def _make_python(folder: Path, requirements: list[str]) -> None:
    if uv := _find_uv():
        _install([uv, "venv", "--quiet", "--python", sys.executable, "--allow-existing", folder])
        _install([uv, "pip", "install", "--quiet", "--python", folder / "bin/python"], requirements)
    else:
        _install([sys.executable, "-m", "venv", folder])
        _install([folder / "bin/python", "-m", "pip", "install", "--quiet"], requirements)


def _make_node(folder: Path, packages: dict[str, str]) -> None:
    manifest = {"name": "compat", "private": True, "type": "module", "dependencies": packages}
    (folder / "package.json").write_text(json.dumps(manifest))
    npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    _install([*npm, "--prefix", folder], cwd=folder)


def _find_uv() -> str | None:
    """`uv` where it runs: a version manager's stand-in is there and still fails."""
    for uv in ("uv", str(Path(sys.executable).parent / "uv")):
        try:
            subprocess.run([uv, "--version"], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return uv
    return None


def _install(command: list[Any], more: list[str] | None = None, cwd: Path | None = None) -> None:
    subprocess.run(
        [str(part) for part in [*command, *(more or [])]],
        cwd=cwd,
        check=True,
        capture_output=True,
        text=True,
        timeout=_INSTALL_S,
    )


def run_script(
    program: Path | str,
    source: str | Path,
    *args: object,
    cwd: Path,
    env: dict[str, str] | None = None,
    deadline_s: float = _RUN_S,
) -> str:
    """
    Run a client's program to its end.

    Args:
        program: An interpreter: of `Environments.python`, or `node`.
        source: The program's text, or a file that holds it.
        args: What the program is given.
        cwd: Where it runs.
        env: Variables on top of PATH and HOME.

    Returns:
        What it printed.

    Raises:
        AssertionError: It failed; what it printed is told.
    """
    if isinstance(source, str):
        suffix = "mjs" if "node" in Path(program).name else "py"
        digest = hashlib.sha256(source.encode()).hexdigest()[:8]
        file = cwd / f"script-{digest}.{suffix}"
        file.write_text(source, encoding="utf-8")
    else:
        file = source
    plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ended = subprocess.run(
        [str(program), str(file), *map(str, args)],
        cwd=cwd,
        env=plain | {"PYTHONUTF8": "1"} | (env or {}),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=deadline_s,
    )
    assert ended.returncode == 0, f"exit {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout
