"""A report of measurements, line by line."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

_LIBRARIES = ("faster-whisper", "ctranslate2", "redis", "rq", "waitress")


class Report:
    """A table that is printed while it grows."""

    def __init__(self) -> None:
        self._rows: list[str] = []

    def add(self, name: str, value: str) -> None:
        """Add a line."""
        self._rows.append(f"| {name} | {value} |")
        print(f"{name}: {value}", flush=True)

    def add_quantiles(self, name: str, seconds: Sequence[float], *shares: float) -> None:
        """Add a line for each share of the values, 0 to 1, in milliseconds."""
        for share in shares:
            self.add(f"{name}, p{share * 100:.0f}", f"{np.quantile(seconds, share) * 1000:.1f} ms")

    def text(self) -> str:
        """The report as Markdown, without names of hosts and paths."""
        return "\n".join(
            [f"{machine(_LIBRARIES)}.", "", "| measured | value |", "|---|--:|", *self._rows]
        )

    def keep(self, name: str, title: str, directory: Path | None) -> None:
        """Print the report; if there is a `directory`, write it there under date and name."""
        keep(name, title, self.text(), directory)


def machine(libraries: Sequence[str]) -> str:
    """The machine and the versions, without the name of the host."""
    what = f"{os.cpu_count()} CPU cores, {platform.system()} {platform.machine()}"
    made_of = ", ".join(f"{name} {version(name)}" for name in libraries)
    return f"{what}, Python {platform.python_version()}, {made_of}"


def keep(name: str, title: str, body: str, directory: Path | None) -> None:
    """Print a report; if there is a `directory`, write it there under date and name."""
    now = datetime.datetime.now(datetime.UTC)
    text = f"# {title}, {now:%Y-%m-%d}\n\n{body}\n"
    print(f"\n{text}")
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{now:%Y-%m-%d-%H%M}-{name}.md").write_text(text, encoding="utf-8")


def load_average() -> str:
    """How many processes wanted a core in the last minute, by which other work on it is seen."""
    return f"{os.getloadavg()[0]:.1f}"
