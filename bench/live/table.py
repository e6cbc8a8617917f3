"""The report of live sessions, and whether the bars hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.live.measure import Measured

_WORSE_THAN_FILE = 0.03
_HEAD = (
    "| model | streams | words | WER % | file job % | commit p50 / p90 s | first shown p50 s "
    "| last word s | changed a word | committed changed | in silence | CPU-s per s | bars |\n"
    "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|"
)


@dataclass(frozen=True)
class Row:
    """
    What was measured with one model on some streams.

    Attributes:
        by_file: The error rate of file jobs on the same streams; None if it was not measured.
    """

    model: str
    kind: str
    found: Measured
    by_file: float | None = None

    def missed(self) -> list[str]:
        """The bars that do not hold, in words."""
        found = self.found
        held = {
            "commit p50": found.quantile("commit_s", 0.5) <= 1.0,
            "commit p90": found.quantile("commit_s", 0.9) <= 1.6,
            "first shown": found.quantile("first_s", 0.5) <= 0.4,
            "last word": max(found.last_s) <= 0.3,
            "changed": found.changed_per_word <= 0.25,
            "committed": found.n_committed_changed == 0,
            "silence": found.n_in_silence == 0,
        }
        if self.by_file is not None:
            held["WER"] = found.counts.rate <= self.by_file + _WORSE_THAN_FILE
        return [name for name, holds in held.items() if not holds]

    def cells(self) -> list[str]:
        """Its line of the table."""
        found, missed = self.found, self.missed()
        file_job = "" if self.by_file is None else f"{100 * self.by_file:.1f}"
        commit = [found.quantile("commit_s", share) for share in (0.5, 0.9)]
        return [
            self.model, self.kind, str(found.counts.n_words), f"{100 * found.counts.rate:.1f}",
            file_job, f"{commit[0]:.2f} / {commit[1]:.2f}",
            f"{found.quantile('first_s', 0.5):.2f}", f"{max(found.last_s):.2f}",
            f"{found.changed_per_word:.2f}", str(found.n_committed_changed),
            str(found.n_in_silence), f"{found.cpu_s / found.audio_s:.3f}",
            f"missed: {', '.join(missed)}" if missed else "hold",
        ]  # fmt: skip


def table(rows: Sequence[Row]) -> tuple[str, bool]:
    """The table as Markdown, and whether all bars hold on all streams of each model together."""
    lines = [f"| {' | '.join(row.cells())} |" for row in rows]
    holds = not any(row.missed() for row in rows if row.kind == "all")
    return "\n".join([_HEAD, *lines]), holds
