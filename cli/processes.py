"""Child processes that end with the program that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cli import watcher

Child = subprocess.Popen[bytes]

_POLL_S = 0.05
_LOG_LINES_SHOWN = 20


class ChildFailed(Exception):
    """A child was not ready in time, or ended; the message ends with the last lines of its log."""


class Processes:
    """
    Child processes, each in a process group of its own and with a log file.

    Because of the groups, Ctrl-C at the terminal does not reach the children: this program decides
    in which order they end. `cli.watcher` ends them if this program is killed.

    Attributes:
        running: The name of each child that was started, and not stopped or killed by us.
    """

    def __init__(self, log_dir: Path) -> None:
        log_dir.mkdir(parents=True, exist_ok=True)
        self._log_dir = log_dir
        self._log_starts: dict[str, int] = {}
        self.running: dict[Child, str] = {}
        self._watcher = subprocess.Popen(
            [sys.executable, "-S", "-E", watcher.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], directory: Path
    ) -> Child:
        """Start a child in `directory`; its output is added to `{name}.log`."""
        with self.log_path(name).open("ab") as log:
            self._log_starts.setdefault(name, log.tell())
            child = subprocess.Popen(
                command,
                cwd=directory,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._tell_watcher(f"+{child.pid}")
        self.running[child] = name
        return child

    def stop(self, children: Iterable[Child], *, grace_s: float) -> None:
        """Ask children to end. After `grace_s`, or when interrupted, kill their process groups."""
        stopping = list(children)
        try:
            for child in stopping:
                child.terminate()
            deadline = time.monotonic() + grace_s
            for child in stopping:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(max(0.0, deadline - time.monotonic()))
        finally:
            for child in stopping:
                self.kill(child)

    def kill(self, child: Child) -> None:
        """Kill a child and all processes of its group."""
        # The group may still run after the child itself has ended.
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if self.running.pop(child, None) is not None:
            self._tell_watcher(f"-{child.pid}")

    def close(self) -> None:
        """Kill all children that still run, and end the watcher."""
        for child in list(self.running):
            self.kill(child)
        if self._watcher.stdin is not None:
            with suppress(BrokenPipeError):
                self._watcher.stdin.close()
        self._watcher.wait()

    def wait_until(
        self, ready: Callable[[], bool], *, needed: Iterable[Child], deadline_s: float
    ) -> None:
        """
        Wait until `ready()` is true.

        Raises:
            ChildFailed: A needed child ended, or they were not ready within `deadline_s`.
        """
        deadline = time.monotonic() + deadline_s
        children = list(needed)
        while not ready():
            self.check(children)
            if time.monotonic() > deadline:
                names = [self.running[child] for child in children]
                logs = "\n".join(f"{name}:\n{self.log_tail(name)}" for name in names)
                raise ChildFailed(f"not ready within {deadline_s:.0f} s\n{logs}")
            time.sleep(_POLL_S)

    def check(self, children: Iterable[Child]) -> None:
        """Raise `ChildFailed` if one of the children has ended."""
        for child in children:
            if child.poll() is not None:
                name = self.running[child]
                raise ChildFailed(
                    f"{name} ended with status {child.returncode}:\n{self.log_tail(name)}"
                )

    def log_path(self, name: str) -> Path:
        """The log file of a child."""
        return self._log_dir / f"{name}.log"

    def log_tail(self, name: str) -> str:
        """The last lines that a child has printed since this object was made."""
        try:
            text = self.log_path(name).read_bytes()[self._log_starts.get(name, 0) :]
        except FileNotFoundError:
            return ""
        lines = text.decode(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES_SHOWN:])

    def _tell_watcher(self, line: str) -> None:
        assert self._watcher.stdin is not None
        with suppress(BrokenPipeError):
            self._watcher.stdin.write(f"{line}\n".encode())
            self._watcher.stdin.flush()
