"""`make eval-speakers` without a model: errors, made dialogues, words, the report."""

from __future__ import annotations

import random
import warnings
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from bench.evaluation.speakers.dialogues import Dialogue, draw_dialogue, read_rttm
from bench.evaluation.speakers.programs import OURS, PYANNOTE
from bench.evaluation.speakers.running import Run, Said
from bench.evaluation.speakers.scoring import compare, pooled, right_words
from bench.evaluation.speakers.sweep import Moved
from bench.evaluation.speakers.table import Measured, Table

TRUE = (("a", 0.0, 2.0), ("b", 1.5, 4.0))


@pytest.mark.skipif(find_spec("pyannote") is None, reason="pyannote.metrics is not installed")
def test_errors_are_those_of_pyannote_metrics() -> None:
    from pyannote.core import Annotation, Segment
    from pyannote.metrics.diarization import DiarizationErrorRate

    def drawn(rng: random.Random, names: str) -> list[tuple[str, float, float]]:
        turns, ends = [], dict.fromkeys(names, 0.0)
        for _ in range(12):  # turns of one speaker do not overlap
            name = rng.choice(names)
            start = ends[name] + rng.uniform(0.1, 3)
            ends[name] = start + rng.uniform(0.2, 3)
            turns.append((name, start, ends[name]))
        return turns

    def annotated(turns: list[tuple[str, float, float]]) -> Annotation:
        found = Annotation()
        for i, (name, start, end) in enumerate(turns):
            found[Segment(start, end), i] = name
        return found

    for seed in range(20):
        rng = random.Random(seed)
        true, found = drawn(rng, "abc"), drawn(rng, "wxyz")

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it looks at all of both
            expected = DiarizationErrorRate()(annotated(true), annotated(found))

        assert compare(true, found).rate == pytest.approx(expected, abs=1e-6)


def test_errors_are_told_apart() -> None:
    errors = compare(TRUE, [("x", 0.0, 2.5), ("y", 2.5, 5.0)])

    told = (errors.missed, errors.false_alarm, errors.confused, errors.speech)
    assert told == pytest.approx((0.5, 1.0, 0.5, 4.5))
    assert pooled([errors, compare(TRUE, TRUE)]) == pytest.approx(2.0 / 9.0)


def test_nothing_found_is_all_missed() -> None:
    assert compare(TRUE, []).rate == 1.0


def test_a_word_is_right_whose_middle_lies_in_a_turn_of_its_speaker() -> None:
    words = [("x", 0.0, 1.0), ("x", 1.6, 2.0), ("y", 1.6, 2.0), ("x", 2.0, 3.0), (None, 0.0, 1.0)]

    assert right_words(words, TRUE, {"x": "a", "y": "b"}) == 3


def test_a_made_dialogue_says_all_there_is_and_when() -> None:
    tone = np.full(16_000, 0.1, np.float32)
    pieces = {name: [(tone, [(1600, 14_400)])] * 4 for name in ("a", "b")}

    samples, turns = draw_dialogue(pieces, random.Random(3), overlap=0.5)

    assert sorted(name for name, _, _ in turns) == ["a"] * 4 + ["b"] * 4
    assert [end - start for _, start, end in turns] == pytest.approx([0.8] * 8)
    for _, start, end in turns:
        assert samples[round(start * 16_000) : round(end * 16_000)].mean() > 0.09
    assert draw_dialogue(pieces, random.Random(3), overlap=0.5)[1] == turns


def test_turns_are_read_from_rttm(tmp_path: Path) -> None:
    path = tmp_path / "a.rttm"
    path.write_text("SPEAKER a 1 6.690 0.430 <NA> <NA> ann <NA> <NA>\n\nSPKR-INFO a 1\n")

    assert read_rttm(path) == [("ann", 6.69, pytest.approx(7.12))]


@pytest.fixture
def measured() -> Measured:
    """Two dialogues, of which the second is found without an error by ours alone."""
    dialogues = [
        Dialogue(name, Path(f"{name}.wav"), TRUE, is_chosen_on=name != "R2a")
        for name in ("sample", "R2a")
    ]
    wrong = Said((("x", 0.0, 4.0),), (("x", 0.0, 4.0),), cpu_s=0.4)
    right = Said(TRUE, TRUE, cpu_s=0.4)
    runs = {
        OURS: Run({d.path: right for d in dialogues}, 300_000_000),
        PYANNOTE: Run({d.path: wrong for d in dialogues}, 900_000_000),
    }
    errors = {d.name: compare(TRUE, TRUE) for d in dialogues}
    moved = [Moved("", 1.0, 0.0, errors), Moved("alike", 0.9, 0.4, errors)]
    long_run = Run({Path("long.wav"): Said((), (), cpu_s=3.0)}, 300_000_000)
    return Measured(dialogues, runs, {d.name: [] for d in dialogues}, moved, long_run, 30.0)


def test_the_report_names_who_could_not_be_heard(measured: Measured) -> None:
    text = Table(measured).text()

    assert "| R2a | 2 | 0.0 (2) | 44.4 (1) |  |" in text
    assert "no AVX-512" in text
    assert "| alike | 0.4 | 0.0 | 0.0 | sample |" in text
    assert "| longhand, one recording | 30 | 0.100 | 300 |" in text


def test_a_bar_that_does_not_hold_is_told(measured: Measured) -> None:
    worse = measured.runs | {OURS: measured.runs[PYANNOTE]}
    slow = replace(measured.long_run, said={Path("long.wav"): Said((), (), cpu_s=30.0)})

    text = Table(replace(measured, runs=worse, long_run=slow)).text()

    assert "| sample ≤ 6.6 % | 44.4 | **no** |" in text
    assert "| CPU-s per s ≤ 0.15 | 1.000 | **no** |" in text
