"""Shows progress, on a terminal or in a log."""

from __future__ import annotations

from typing import Self, TextIO


class ProgressLine:
    """On a terminal one line that is overwritten; elsewhere a line for each 10 %."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_terminal = out.isatty()
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Erase the line, on a terminal."""
        if self._is_terminal:
            self._write("\r\x1b[K")

    def show(self, stage: str, progress: float | None = None) -> None:
        """Show what is being done, and which fraction of it is done, 0 to 1."""
        line = stage
        if progress is not None:
            percent = int(100 * progress) if self._is_terminal else 10 * int(10 * progress)
            line = f"{stage} {percent} %"
        if line != self._last:
            self._last = line
            self._write(f"\r\x1b[K{line}" if self._is_terminal else f"{line}\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()
