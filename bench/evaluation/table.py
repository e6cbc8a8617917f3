"""The report: a table of each set for each model, and the bars."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from bench.evaluation.bars import Bar, best_peer, judge, quantile
from bench.evaluation.heard import Heard
from bench.evaluation.running import Results
from bench.evaluation.scoring import (
    Counts,
    Score,
    bootstrap,
    n_words_of,
    score,
    word_start_errors,
)
from bench.evaluation.sets import CLIPS, LONG, NOISE, WORDS, Item
from bench.evaluation.systems import OURS
from bench.measures import load_average, machine
from shared.settings import CHECKOUT

ENOUGH_WORDS = 5_000
_LIBRARIES = ("faster-whisper", "ctranslate2", "openai-whisper", "jiwer", "av", "onnxruntime")
_HOW = """\
Every program has the same weights: int8 (openai-whisper: float32), 5 beams, one thread and a
process of its own. All other options are its defaults, and the language is not given. If a text is
in doubt, the other programs choose at random; their seed is 0 before each file. CPU seconds include
decoding the file, but not loading the model. Long files have whole clips, pauses of 0.3-5 s, levels
±6 dB, noise 10 dB below the speech for half of the time, and are mp3 of 32 kbit/s. Text is compared
after openai-whisper's normalizer. Times are in seconds. Starts (ends) are errors of segments that
begin (end) with the first (last) word of an utterance; their number is in parentheses. "any" is the
error of the nearest segment, for all utterances."""


class Evaluation:
    """
    All results, from which the report is made.

    Args:
        results: Those of every system with every model.
    """

    def __init__(self, results: Results) -> None:
        self._results = results
        self.models = list(dict.fromkeys(model for _, model in results))
        self.bars = [bar for model in self.models for bar in self._judged(model)]

    @property
    def holds(self) -> bool:
        """Whether every bar holds."""
        return all(bar.holds is not False for bar in self.bars)

    def text(self) -> str:
        """The whole report as Markdown."""
        sections = [part for model in self.models for part in self._sections(model)]
        return "\n\n".join([_machine(), _HOW, *sections, self._bars_table()])

    def _systems(self, model: str) -> list[str]:
        return [system for system, of in self._results if of == model]

    def _heard(self, system: str, model: str, set_name: str) -> list[tuple[Item, Heard]]:
        pairs = self._results[system, model]
        return [(item, heard) for item, heard in pairs if item.set_name == set_name]

    def _long(self, model: str, half: int) -> dict[str, dict[str, Score]]:
        """Scores by system and by file."""
        return {
            system: {
                item.name: score(item.utterances, heard)
                for item, heard in self._heard(system, model, LONG)
                if item.half == half
            }
            for system in self._systems(model)
        }

    def _halves(self, model: str) -> list[int]:
        systems = self._systems(model)
        items = (item for system in systems for item, _ in self._heard(system, model, LONG))
        return sorted({item.half for item in items if item.half is not None})

    def _judged(self, model: str) -> list[Bar]:
        """The bars of half 1, or of the only half."""
        halves = self._halves(model)
        if not halves:
            return []
        scores = {name: pooled(found) for name, found in self._long(model, halves[-1]).items()}
        noise = self._heard(OURS, model, NOISE) if (OURS, model) in self._results else []
        n_words = sum(n_words_of(heard.text) for _, heard in noise) if noise else None
        return judge(model, scores, n_words)

    def _sections(self, model: str) -> Iterator[str]:
        for half in self._halves(model):
            found = self._long(model, half)
            yield _long_table(f"{model}, long files of half {half}", found)
            yield from _apart(found)
            yield _by_file(found)
        yield self._clips_table(model)
        yield from self._invented(model)

    def _clips_table(self, model: str) -> str:
        rows = []
        for system in self._systems(model):
            clips = self._heard(system, model, CLIPS)
            noise = self._heard(system, model, NOISE)
            told = self._heard(system, model, WORDS)
            late = [e for item, heard in told for e in word_start_errors(item.words, heard)]
            n_words = [n_words_of(heard.text) for _, heard in noise]
            cpu_s = (sum(heard.cpu_s for _, heard in pairs) for pairs in (clips, noise))
            rows.append(
                [
                    system,
                    *(_rate(clips, language) for language in ("en", "de", "zh")),
                    f"{sum(n_words)} ({sum(map(bool, n_words))} of {len(n_words)} files)",
                    f"{quantile(late, 0.5):.2f} s ({len(late)})" if late else "-",
                    *(f"{seconds:.1f}" for seconds in cpu_s),
                ]
            )
        halves = sorted({item.half for item, _ in clips if item.half is not None})
        english = f"English, half {' and '.join(map(str, halves))}"
        head = ["system", english, "German", "Chinese, characters", "words out of noise",
                "word starts, median", "CPU s, clips", "CPU s, noise"]  # fmt: skip
        return f"## {model}, single clips and noise\n\n{_markdown(head, rows)}"

    def _invented(self, model: str) -> Iterator[str]:
        """What Longhand wrote where nobody speaks."""
        if (OURS, model) in self._results:
            noise = self._heard(OURS, model, NOISE)
            texts = [f"{item.name}: “{heard.text}”" for item, heard in noise if heard.text]
            if texts:
                yield f"Longhand wrote, where nobody speaks, {'; '.join(texts)}."

    def _bars_table(self) -> str:
        words = {None: "not measured", True: "holds", False: "DOES NOT HOLD"}
        rows = [[b.model, b.name, b.value, b.limit, words[b.holds]] for b in self.bars]
        half = max((h for model in self.models for h in self._halves(model)), default=None)
        head = ["model", f"long files of half {half}", "Longhand", "bar", ""]
        return f"## Bars\n\n{_markdown(head, rows)}"


def pooled(scores: dict[str, Score]) -> Score:
    """The scores of several files together."""
    whole = Score()
    for one in scores.values():
        whole.extend(one)
    return whole


def _long_table(title: str, found: dict[str, dict[str, Score]]) -> str:
    peer = best_peer({system: pooled(by_file) for system, by_file in found.items()})
    most = pooled(max(found.values(), key=len))
    n_files, n_words = max(map(len, found.values())), most.counts.n_words
    rows = []
    for system, by_file in found.items():
        best_s = sum(found[peer][name].cpu_s for name in by_file) if peer else 0.0
        notes = ["best"] if system == peer else []
        if len(by_file) < n_files:
            notes.append(_files(len(by_file)))
        name = f"{system} ({', '.join(notes)})" if notes else system
        rows.append([name, *_long_row(pooled(by_file), best_s)])
    head = ["system", "WER", "substituted", "lost", "invented", "CPU s (of the best's)",
            "starts: median, p90", "any", "ends: median, p90", "any"]  # fmt: skip
    few = f"; a report takes {ENOUGH_WORDS}" if n_words < ENOUGH_WORDS else ""
    said = f"{_files(n_files)}, {len(most.by_utterance)} utterances, {n_words} words{few}."
    return f"## {title}\n\n{said}\n\n{_markdown(head, rows)}"


def _long_row(one: Score, best_s: float) -> list[str]:
    counts, times = one.counts, one.times
    return [
        f"{counts.rate:.1%}",
        *map(str, (counts.substituted, counts.lost, counts.invented)),
        f"{one.cpu_s:.1f} ({one.cpu_s / best_s:.2f})" if best_s else f"{one.cpu_s:.1f}",
        f"{_spread(times.starts)} ({len(times.starts)})",
        _spread(times.nearest_starts),
        f"{_spread(times.ends)} ({len(times.ends)})",
        _spread(times.nearest_ends),
    ]


def _files(n_files: int) -> str:
    return "1 file" if n_files == 1 else f"{n_files} files"


def _spread(errors: list[float]) -> str:
    return f"{quantile(errors, 0.5):.2f}, {quantile(errors, 0.9):.2f}" if errors else "-"


def _apart(found: dict[str, dict[str, Score]]) -> Iterator[str]:
    """The difference from the best setting of faster-whisper, and how certain it is."""
    scores = {system: pooled(by_file) for system, by_file in found.items()}
    peer = best_peer(scores)
    if peer is None or not scores.get(OURS, Score()).by_utterance:
        return
    ours, theirs = scores[OURS], scores[peer]
    within = bootstrap(ours.by_utterance, theirs.by_utterance)
    points = ours.counts.rate - theirs.counts.rate
    ratio = ours.counts.rate / max(theirs.counts.rate, 1e-9)
    low, high = (100 * value for value in within.difference)
    yield (
        f"WER of Longhand against {peer}: {100 * points:+.2f} points "
        f"(95 % within {low:+.2f} and {high:+.2f}), {ratio:.2f} times "
        f"({within.ratio[0]:.2f} to {within.ratio[1]:.2f}); 2,000 draws of {within.n_utterances} "
        "utterances."
    )


def _by_file(found: dict[str, dict[str, Score]]) -> str:
    names = list(dict.fromkeys(name for by_file in found.values() for name in by_file))
    rows = [
        [system, *(f"{by_file[n].counts.rate:.1%}" if n in by_file else "" for n in names)]
        for system, by_file in found.items()
    ]
    return _markdown(["WER by file", *names], rows)


def _rate(clips: Sequence[tuple[Item, Heard]], language: str) -> str:
    """The error rate of the clips of one language, and their number of units."""
    scores = [
        score(item.utterances, heard, language).by_utterance
        for item, heard in clips
        if item.language == language
    ]
    counts = sum((count for one in scores for count in one), Counts())
    return f"{counts.rate:.1%} of {counts.n_words}" if scores else ""


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _machine() -> str:
    """Processor, versions and commit."""
    backend = {"0": "oneDNN", "1": "MKL"}.get(os.environ.get("CT2_USE_MKL", ""))
    asked = f" CTranslate2 was told to use {backend}." if backend else ""
    return (
        f"{_processor()}, {machine(_LIBRARIES)}; commit {_commit()}; load {load_average()} at the "
        f"end.{asked}"
    )


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    """The commit of this checkout, and whether there are changes since."""
    git = ["git", "-C", str(CHECKOUT)]
    try:
        commit = subprocess.check_output([*git, "rev-parse", "--short=10", "HEAD"], text=True)
        changed = subprocess.check_output([*git, "status", "--porcelain", "-uno"], text=True)
    except (OSError, subprocess.CalledProcessError):
        return "not known"
    return commit.strip() + (" and changes" if changed.strip() else "")
