"""A private stack: Redis, gateway, gateway.live and workers that start, and end, together."""

from __future__ import annotations

import fcntl
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from cli.addresses import claim, in_url, is_ready, reachable
from cli.processes import Child, Processes
from cli.redis_server import find_redis_server, free_port, write_redis_config
from cli.settings import plain_environment
from shared.settings import CHECKOUT
from shared.workers import Workers

_REDIS_DEADLINE_S = 20
_GRACE_S, _SHORT_GRACE_S = 5.0, 1.0


class DirectoryInUse(Exception):
    """Another stack uses the directory; two Redis servers would damage each other's files."""


@dataclass(frozen=True)
class Watch:
    """
    How to wait for a stack.

    Attributes:
        say: Called often, with the part that is not ready yet.
        deadline_s: How long the stack may take to be ready.
    """

    say: Callable[[str], None] = lambda told: None
    deadline_s: float = 120


class Stack:
    """
    Redis, gateway, gateway.live and workers, which run during the `with` block.

    Attributes:
        url: The gateway's address.
        live_url: The address of gateway.live.
        redis_url: The address of Redis, with the password.
        storage_dir: The directory of uploads and results.
        gateway: The gateway's process.
        live: The process of gateway.live.
        workers: The workers' processes in the order of their starts, also those that have ended.
    """

    gateway: Child
    live: Child
    _redis: Child

    def __init__(
        self,
        directory: Path,
        *,
        n_workers: int = 1,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
        live_port: int | None = None,
        watch: Watch = Watch(),  # noqa: B008 - it is frozen
    ) -> None:
        """
        Prepare a stack; nothing is started yet.

        Args:
            directory: For Redis's files, storage, scratch files and logs.
            env: Environment variables, which replace the stack's own settings.
            port: The gateway's port; a free one if None.
            live_port: The port of gateway.live; a free one if None.
            watch: How to wait for it.
        """
        self._directory = directory.absolute()
        self._n_workers = n_workers
        self._watch = watch
        self._password = secrets.token_urlsafe(24)
        self.redis_port = free_port()
        self.port = port or free_port()
        self.live_port = live_port or free_port()
        self.redis_url = f"redis://:{self._password}@127.0.0.1:{self.redis_port}/0"
        self.storage_dir = self._directory / "storage"
        self.workers: list[Child] = []
        self._env = plain_environment() | self._settings() | dict(env or {})
        self._host = reachable(self._env["LONGHAND_HOST"])
        self._live_host = reachable(self._env["LONGHAND_LIVE_HOST"])
        self.url = f"http://{in_url(self._host)}:{self.port}"
        self.live_url = f"http://{in_url(self._live_host)}:{self.live_port}"
        self._env.setdefault("LONGHAND_LIVE_URL", self.live_url)

    def _settings(self) -> dict[str, str]:
        scratch = self._directory / "scratch"
        return {
            "LONGHAND_REDIS_URL": self.redis_url,
            "LONGHAND_STORAGE_DIR": str(self.storage_dir),
            "LONGHAND_SCRATCH_DIR": str(scratch),
            "LONGHAND_MODELS_DIR": str(CHECKOUT / "models"),
            "LONGHAND_DEFAULT_MODEL": "demo",
            "LONGHAND_DOWNLOADS": "false",
            "LONGHAND_HOST": "127.0.0.1",
            "LONGHAND_PORT": str(self.port),
            "LONGHAND_LIVE_HOST": "127.0.0.1",
            "LONGHAND_LIVE_PORT": str(self.live_port),
            "TMPDIR": str(scratch),
        }

    def __enter__(self) -> Self:
        """
        Start everything and wait until it is ready.

        Raises:
            ChildFailed: A part was not ready in time, or ended.
            DirectoryInUse: Another stack uses the directory.
            PortInUse: Another program listens on a port of this stack.
        """
        for name in ("redis", "storage", "scratch"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self._directory)
        self._processes = Processes(self._directory / "logs")
        try:
            claim(self._env["LONGHAND_HOST"], self.port)
            claim(self._env["LONGHAND_LIVE_HOST"], self.live_port)
            self.start_redis()
            self.start_gateway()
            self.start_live()
            for _ in range(self._n_workers):
                self.start_worker()
            self._processes.wait_until(
                self._is_ready, needed=self._processes.running, deadline_s=self._watch.deadline_s
            )
        except BaseException:
            self.stop(grace_s=_SHORT_GRACE_S)
            raise
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        # After an error or Ctrl-C nobody waits for the running jobs.
        self.stop(grace_s=_GRACE_S if error is None else _SHORT_GRACE_S)

    def stop(self, *, grace_s: float = _GRACE_S) -> None:
        """End everything; what has not ended after `grace_s` is killed."""
        try:
            # Redis last, since the others write to it when they end.
            for wanted in ("worker", "gateway", "live", "redis"):
                children = [c for c, name in self._processes.running.items() if wanted in name]
                self._processes.stop(children, grace_s=grace_s)
        finally:
            self._processes.close()
            self._lock.close()

    def start_redis(self) -> None:
        """Start Redis, on the same port and with its data, and wait until it answers."""
        config = write_redis_config(
            self._directory / "redis", port=self.redis_port, password=self._password
        )
        self._watch.say("starting Redis")
        self._redis = self._processes.start(
            "redis",
            [str(find_redis_server()), str(config)],
            env=self._env,
            directory=self._directory,
        )
        self._processes.wait_until(
            self._redis_answers, needed=[self._redis], deadline_s=_REDIS_DEADLINE_S
        )

    def stop_redis(self) -> None:
        """Let Redis save its data and end."""
        self._processes.stop([self._redis], grace_s=_REDIS_DEADLINE_S)

    def kill_redis(self) -> None:
        """Kill Redis as a power cut would."""
        self._processes.kill(self._redis)

    def start_gateway(self) -> Child:
        """Start the gateway; it is not ready yet."""
        self.gateway = self._start("gateway", "gateway")
        return self.gateway

    def start_live(self) -> Child:
        """Start gateway.live; it is not ready yet."""
        # The gateway's page reads events here. For a browser that is another origin.
        listed = [origin for origin in (self._env.get("LONGHAND_CORS_ORIGINS"), self.url) if origin]
        self.live = self._start("live", "gateway.live", {"LONGHAND_CORS_ORIGINS": ",".join(listed)})
        return self.live

    def start_worker(self, env: Mapping[str, str] | None = None) -> Child:
        """Start one more worker, with other settings if given; it is not ready yet."""
        self.workers.append(self._start(f"worker-{len(self.workers) + 1}", "worker", env))
        return self.workers[-1]

    def _start(self, name: str, module: str, env: Mapping[str, str] | None = None) -> Child:
        return self._processes.start(
            name,
            [sys.executable, "-m", module],
            env=self._env | dict(env or {}),
            directory=CHECKOUT,
        )

    def kill(self, child: Child) -> None:
        """Kill one process of the stack, and all that it started."""
        self._processes.kill(child)

    def check(self) -> None:
        """Raise `ChildFailed` if a part that should be running has ended."""
        self._processes.check(self._processes.running)

    def log_path(self, name: str) -> Path:
        """The log file of `redis`, `gateway`, `live`, `worker-1` …"""
        return self._processes.log_path(name)

    def log_tail(self, name: str) -> str:
        """The last lines in the log of `redis`, `gateway`, `live`, `worker-1` …"""
        return self._processes.log_tail(name)

    def _redis_answers(self) -> bool:
        with self._connect() as redis:
            try:
                return bool(redis.ping())
            except RedisError:
                return False

    def _is_ready(self) -> bool:
        """Whether gateway and gateway.live are ready, and as many workers as were started."""
        waited_for = self._waited_for()
        if waited_for:
            self._watch.say(f"waiting for {waited_for}")
        return not waited_for

    def _waited_for(self) -> str:
        """The part that is not ready yet, in words; "" if all are."""
        if not is_ready(self._host, self.port):
            return "the gateway"
        if not is_ready(self._live_host, self.live_port):
            return "gateway.live"
        try:
            with self._connect() as redis:
                n_live = len(Workers(redis).live())
        except RedisError:
            return "Redis"
        if n_live >= self._n_workers:
            return ""
        logs = self.log_path("worker-1").parent
        which = f"{self._n_workers - n_live} of {self._n_workers} workers"
        which = "the worker" if self._n_workers == 1 else which
        return f"{which} to load the model {self._env['LONGHAND_DEFAULT_MODEL']} (log in {logs})"

    def _connect(self) -> Redis:
        return Redis.from_url(self.redis_url, socket_timeout=2, retry=Retry(NoBackoff(), 0))


def _lock(directory: Path) -> TextIO:
    lock = (directory / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise DirectoryInUse(f"another stack is running in {directory}") from None
    return lock
