"""Progress as it is shown on a terminal and in a log."""

from __future__ import annotations

import io

from cli.progress import ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_one_line_and_clears_it_at_the_end():
    out = Terminal()

    with ProgressLine(out) as progress:
        progress.show("decode")
        progress.show("transcribe", 0.256)

    assert out.getvalue() == "\r\x1b[Kdecode\r\x1b[Ktranscribe 25 %\r\x1b[K"


def test_a_log_has_a_line_for_every_tenth_and_none_twice():
    out = io.StringIO()

    with ProgressLine(out) as progress:
        for hundredth in range(0, 30):
            progress.show("transcribe", hundredth / 100)

    assert out.getvalue() == "transcribe 0 %\ntranscribe 10 %\ntranscribe 20 %\n"
