"""A real Chromium, driven over its DevTools pipe: no driver, no library, no port."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from needs import missing

_DEADLINE_S = 120.0
_READ_BYTES = 1 << 16


class Page:
    """One tab."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._rest = b""
        self._last_id = 0
        self.printed: list[str] = []
        """What scripts wrote to the console."""
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """One command of the protocol; what it answers."""
        self._last_id += 1
        command = {"id": self._last_id, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._to, json.dumps(command).encode() + b"\0")
        wanted = self._last_id
        while True:
            message = self._read(time.monotonic() + _DEADLINE_S)
            if message.get("id") == wanted:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    def _read(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"Chromium did not answer; it printed {self.printed}"
            read = os.read(self._from, _READ_BYTES)
            assert read, "Chromium ended"
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if message.get("method") == "Runtime.consoleAPICalled":
            values = (arg.get("value") for arg in message["params"]["args"])
            self.printed.append(" ".join(map(str, values)))
        return message

    def open(self, url: str) -> None:
        """Go to a page and wait until it is there."""
        self.call("Page.navigate", url=url)
        self.wait_until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script: str) -> Any:
        """The value of a script, waited for if it is a promise."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_until(self, claim: str, deadline_s: float = _DEADLINE_S) -> None:
        """Wait until a script's value is true; the page is asked, with pauses of its own."""
        deadline = time.monotonic() + deadline_s
        asked = f"new Promise(done => setTimeout(() => done(Boolean({claim})), 50))"
        while not self.run(asked):
            assert time.monotonic() < deadline, f"never: {claim}; printed {self.printed}"

    def wait_for_print(self, n_lines: int, deadline_s: float = _DEADLINE_S) -> list[str]:
        """The first lines written to the console."""
        deadline = time.monotonic() + deadline_s
        while len(self.printed) < n_lines:
            self._read(deadline)
        return self.printed

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file as a person does, events and all."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", files=[str(path)], nodeId=node)


@contextmanager
def open_browser() -> Iterator[Page]:
    """A Chromium for as long as the block."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        missing("no chromium: tools/system_packages compat installs it")
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        shell = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
        child = subprocess.Popen(
            [
                "/bin/bash", "-c", shell, program, "--headless=new", "--no-sandbox",
                "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                "--disable-background-networking", "--disable-component-update",
                f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank",
            ],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"HOME": profile},
        )  # fmt: skip
        os.close(commands)
        os.close(answers)
        try:
            yield Page(to_browser, from_browser)
        finally:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            os.close(to_browser)
            os.close(from_browser)
