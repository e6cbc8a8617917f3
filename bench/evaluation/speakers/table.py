"""The report of diarization as Markdown, and whether every bar holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bench.evaluation.speakers.dialogues import Dialogue
from bench.evaluation.speakers.programs import OURS, PYANNOTE, SENKO
from bench.evaluation.speakers.running import Run
from bench.evaluation.speakers.scoring import Errors, compare, pooled
from bench.evaluation.speakers.sweep import Moved
from bench.evaluation.speakers.words import count_right
from bench.measures import machine
from shared.transcript import Segment

_POINTS = 100
_LIBRARIES = ("onnxruntime", "onnx", "scipy", "numpy", "pyannote-audio", "torch", "faster-whisper")

SAMPLE_MOST = 0.066
PEER_MARGIN = 0.01
MOVED_MOST = 0.03
WORDS_TWO, WORDS_MORE = 0.94, 0.82
RSS_MOST_BYTES, REAL_TIME_MOST = 1_000_000_000, 0.15


@dataclass(frozen=True)
class Measured:
    """All measurements. `words` is by dialogue; the first of `moved` is without a move."""

    dialogues: Sequence[Dialogue]
    runs: Mapping[str, Run]
    words: Mapping[str, list[Segment]]
    moved: Sequence[Moved]
    long_run: Run
    long_s: float


class Table:
    """The report."""

    def __init__(self, measured: Measured) -> None:
        self._m = measured

    @property
    def holds(self) -> bool:
        """Whether every bar holds."""
        return all(held for _, _, held in self._bars())

    def text(self) -> str:
        """The report as Markdown, without names of hosts and paths."""
        parts = (self._rates(), self._words(), self._cost(), self._sweep(), self._bar_table())
        head = f"{machine(_LIBRARIES)}. One core. No token; no torch where Longhand's own runs."
        return "\n\n".join([head, *("\n".join(part) for part in parts)])

    @cached_property
    def _errors(self) -> dict[str, dict[str, Errors]]:
        return {
            name: {
                d.name: compare(d.turns, r.said[d.path].turns)
                for d in self._m.dialogues
                if d.path in r.said
            }
            for name, r in self._m.runs.items()
        }

    @cached_property
    def _shares(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Words with the right speaker and all words, by diarizer and dialogue."""
        return {
            name: {
                d.name: count_right(
                    d, self._m.words[d.name], r.said[d.path],
                    dict(self._errors[name][d.name].names),
                )
                for d in self._judged
            }
            for name, r in self._m.runs.items()
        }  # fmt: skip

    def _sets(self) -> Iterator[tuple[str, list[Dialogue]]]:
        all_of = self._m.dialogues
        yield "sample", [d for d in all_of if d.name == "sample"]
        yield "D1 to D3", [d for d in all_of if d.name.startswith("D")]
        yield "V, chosen on", [d for d in all_of if d.name.startswith("V")]
        yield "R, other voices", [d for d in all_of if d.name.startswith("R")]
        yield "sample, D and R", self._judged

    @property
    def _judged(self) -> list[Dialogue]:
        return [d for d in self._m.dialogues if not d.name.startswith("V")]

    def _heard(self, name: str, dialogue: Dialogue) -> bool:
        return name in self._m.runs and dialogue.path in self._m.runs[name].said

    def _pooled(self, name: str, dialogues: Sequence[Dialogue]) -> float:
        return pooled(self._errors[name][d.name] for d in dialogues)

    def _rates(self) -> Iterator[str]:
        yield "## Diarization error, % (no collar, overlap counts)"
        yield ""
        yield from self._head("dialogue", "speakers", *(f"{n} (found)" for n in self._all_names))
        for d in self._m.dialogues:
            cells = []
            for name in self._all_names:
                if not self._heard(name, d):
                    cells.append("")
                    continue
                n_found = len({turn[0] for turn in self._m.runs[name].said[d.path].turns})
                cells.append(f"{_percent(self._errors[name][d.name].rate)} ({n_found})")
            yield _row(d.name, d.n_speakers, *cells)
        for title, dialogues in self._sets():
            if dialogues:
                rates = [
                    _percent(self._pooled(n, dialogues)) if self._heard(n, dialogues[0]) else ""
                    for n in self._all_names
                ]
                yield _row(f"**{title}**", "", *rates)
        if SENKO not in self._m.runs:
            yield ""
            yield "senko: this processor has no AVX-512."

    @property
    def _all_names(self) -> tuple[str, ...]:
        return (OURS, PYANNOTE, SENKO)

    def _head(self, *titles: str) -> Iterator[str]:
        yield _row(*titles)
        yield "|---|" + "--:|" * (len(titles) - 1)

    def _words_of(self, name: str, *, two: bool) -> float:
        told = [self._shares[name][d.name] for d in self._judged if (d.n_speakers == 2) == two]
        return sum(right for right, _ in told) / max(1, sum(n for _, n in told))

    def _words(self) -> Iterator[str]:
        yield "## Words with the right speaker, % (words by `base`; sample, D and R)"
        yield ""
        yield from self._head("voices", *self._m.runs)
        for title, two in (("two", True), ("more", False)):
            shares = [_percent(self._words_of(name, two=two)) for name in self._m.runs]
            yield _row(title, *shares)

    def _cost(self) -> Iterator[str]:
        yield "## Cost"
        yield ""
        yield from self._head("diarizer", "audio, s", "CPU-s per s of audio", "largest memory, MB")
        for name, r in self._m.runs.items():
            heard = [d for d in self._m.dialogues if d.path in r.said]
            seconds = sum(max(t[2] for t in d.turns) for d in heard)
            cpu_s = sum(said.cpu_s for said in r.said.values())
            yield _row(name, f"{seconds:.0f}", f"{cpu_s / seconds:.3f}", _mb(r.rss_bytes))
        yield _row(
            f"{OURS}, one recording", f"{self._m.long_s:.0f}",
            f"{self._real_time:.3f}", _mb(self._m.long_run.rss_bytes),
        )  # fmt: skip

    @property
    def _real_time(self) -> float:
        return sum(said.cpu_s for said in self._m.long_run.said.values()) / self._m.long_s

    def _sweep(self) -> Iterator[str]:
        yield "## Thresholds, moved by a tenth each"
        yield ""
        titles = ("error of all, %", "greatest change, points", "of")
        yield from self._head("threshold", "value", *titles)
        base, *moved = self._m.moved
        yield _row("none", "", _percent(pooled(base.errors.values())), "", "")
        for each in moved:
            worst = max(base.errors, key=lambda name: self._change(each, name))
            yield _row(
                each.name, f"{each.value:.4g}", _percent(pooled(each.errors.values())),
                f"{_POINTS * self._change(each, worst):.1f}", worst,
            )  # fmt: skip

    def _change(self, moved: Moved, name: str) -> float:
        return abs(moved.errors[name].rate - self._m.moved[0].errors[name].rate)

    def _bars(self) -> Iterator[tuple[str, str, bool]]:
        sample = [d for d in self._judged if d.name == "sample"]
        if sample:
            rate = self._pooled(OURS, sample)
            yield f"sample ≤ {_percent(SAMPLE_MOST)} %", _percent(rate), rate <= SAMPLE_MOST
        ours = self._pooled(OURS, self._judged)
        peer = min(self._pooled(n, self._judged) for n in self._m.runs if n != OURS)
        most = peer + PEER_MARGIN
        yield f"sample, D and R ≤ {_percent(most)} %", _percent(ours), ours <= most
        for title, two, least in (("two", True, WORDS_TWO), ("more", False, WORDS_MORE)):
            share = self._words_of(OURS, two=two)
            yield f"words, {title} voices ≥ {_percent(least)} %", _percent(share), share >= least
        worst = max(self._change(m, n) for m in self._m.moved for n in m.errors)
        told = f"{_POINTS * worst:.1f}"
        yield "a tenth changes no error by more than 3 points", told, worst <= MOVED_MOST
        rss, real_time = self._m.long_run.rss_bytes, self._real_time
        yield f"memory of {self._m.long_s:.0f} s < 1000 MB", _mb(rss), rss < RSS_MOST_BYTES
        yield "CPU-s per s ≤ 0.15", f"{real_time:.3f}", real_time <= REAL_TIME_MOST

    def _bar_table(self) -> Iterator[str]:
        yield "## Bars"
        yield ""
        yield from self._head("bar", "measured", "holds")
        for title, value, held in self._bars():
            yield _row(title, value, "yes" if held else "**no**")


def _percent(share: float) -> str:
    return f"{_POINTS * share:.1f}"


def _mb(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.0f}"


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"
