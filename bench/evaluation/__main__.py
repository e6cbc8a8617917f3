"""
Measure Longhand, faster-whisper and openai-whisper on real speech, with the same weights.

    python -m bench.evaluation [--quick] [--half 0|1|both] [--models base,tiny.en] [--save DIR]

Parameters are chosen on the clips of half 0, and results are reported on those of half 1. An
evaluation that was interrupted continues. It ends with status 1 if a bar does not hold, and 2 if
nothing could be measured.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from bench.evaluation.running import Runner, SystemFailed, plan
from bench.evaluation.sets import Wanted, make_items
from bench.evaluation.speech import SPEECH
from bench.evaluation.systems import SYSTEMS, weights_of
from bench.evaluation.table import Evaluation
from bench.measures import keep
from shared.catalogue import MODELS
from shared.errors import ModelNotFound
from shared.settings import CHECKOUT
from worker.settings import limit_threads, quieten_libraries

_HALVES = {"0": (0,), "1": (1,), "both": (0, 1)}
_QUICK_S, _LONG_S = 180.0, 600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is not measured yet, print the report, and save it if `--save` is given."""
    options = _parser().parse_args(arguments)
    quieten_libraries()
    limit_threads(1)
    signal.signal(signal.SIGTERM, _leave)
    wanted = Wanted(
        _HALVES[options.half],
        options.seeds or (1 if options.quick else 5),
        _QUICK_S if options.quick else _LONG_S,
    )
    models = options.models or (["tiny.en"] if options.quick else ["base", "tiny.en"])
    try:
        items = make_items(options.speech, options.work / "audio", wanted)
        for model in models:
            _fetch(model, options.systems)
        runs = plan(options.systems, models, items)
        results = Runner(options.work / "heard").run(runs, options.jobs)
    except (FileNotFoundError, ModelNotFound, SystemFailed) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"ended; what was heard is kept in {options.work}", file=sys.stderr)
        return 130
    evaluation = Evaluation(results)
    name, title = ("eval-quick", "Quick trial") if options.quick else ("eval", "Evaluation")
    keep(name, title, evaluation.text(), options.save)
    return 0 if evaluation.holds else 1


def _fetch(model: str, systems: Sequence[str]) -> None:
    """Fetch and convert all weights that are needed, before anything is measured."""
    weights_of(model)
    if "openai-whisper" in systems:
        weights_of(model, "openai_whisper")


def _leave(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.evaluation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one long file of 3 minutes, tiny.en: does it work?")
    add("--models", type=_names_of(MODELS), help="base,tiny.en")
    add("--systems", type=_names_of(SYSTEMS), default=list(SYSTEMS), help=",".join(SYSTEMS))
    add("--seeds", type=int, help="long files of each half; 5")
    add("--half", choices=_HALVES, default="1", help="clips that long files are made of; 1")
    add("--jobs", type=int, default=1, help="processes at once; more than 1 disturbs CPU seconds")
    add("--speech", type=Path, default=SPEECH, help="the recordings; ../shared/speech")
    add(
        "--work",
        type=Path,
        default=CHECKOUT / "data" / "evaluation",
        help="what was heard so far; without it all is measured anew. data/evaluation",
    )
    add("--save", type=Path, help="directory for a dated copy of the report")
    return parser


def _names_of(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    """Names separated by commas; each must be known."""

    def names(text: str) -> list[str]:
        asked = [name.strip() for name in text.split(",") if name.strip()]
        if unknown := [name for name in asked if name not in known]:
            raise argparse.ArgumentTypeError(
                f"{unknown[0]!r} is not known; there are {', '.join(known)}"
            )
        return asked

    return names


if __name__ == "__main__":
    sys.exit(main())
