"""
Measure live sessions on real speech: words, delays and CPU time, without Redis and sockets.

    python -m bench.live [--models tiny.en,base] [--half 0|1] [--delay normal] [--sessions 1]

Parameters are chosen on the streams of half 0, and results are reported on those of half 1. Time is
the CPU time that the decoding takes, so that other work on the machine does not count. It ends with
status 1 if a bar does not hold, and 2 if there are no recordings or weights.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from bench.evaluation.scoring import Counts, units
from bench.evaluation.speech import SPEECH
from bench.evaluation.systems import OURS, SYSTEMS
from bench.live.measure import Measured, errors, timed_units
from bench.live.offline import OneModel, run_together
from bench.live.streams import READ, TELEPHONE, Stream, make_streams
from bench.live.table import Row, table
from bench.live.word_times import WordTimes
from bench.measures import keep, machine
from shared.errors import ModelNotFound
from shared.live.request import Delay, LiveRequest
from shared.settings import CHECKOUT
from worker.settings import limit_threads, quieten_libraries

_REFERENCE = "tiny.en"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the report, and save it if `--save` is given."""
    options = _parser().parse_args(arguments)
    quieten_libraries()
    limit_threads(1)
    work = options.work
    try:
        times = WordTimes(options.speech, work / "words")
        streams = list(make_streams(options.speech, times, half=options.half, n_each=options.each))
        rows = [
            row for model in options.models.split(",") for row in _rows(model, streams, options)
        ]
    except (FileNotFoundError, ModelNotFound) as error:
        print(error, file=sys.stderr)
        return 2
    text, holds = table(rows)
    made_of = machine(("faster-whisper", "ctranslate2"))
    title = f"Live sessions, half {options.half}, delay {options.delay}"
    keep("live", title, f"{made_of}.\n\n{text}", options.save)
    return 0 if holds else 1


def _rows(model: str, streams: Sequence[Stream], options: argparse.Namespace) -> list[Row]:
    """One row for each kind of streams, and one for all."""
    reference_s = OneModel(_REFERENCE).reference_s()
    scale = reference_s / options.reference if options.reference else 1.0
    print(f"{_REFERENCE} encodes 30 s in {reference_s:.3f} CPU s: scale {scale:.2f}", flush=True)
    models = OneModel(model)
    request = LiveRequest(model=model, language=options.language, delay=options.delay)
    found = {READ: Measured(), TELEPHONE: Measured()}
    for at in range(0, len(streams), options.sessions):
        together = list(streams[at : at + options.sessions])
        measured = run_together(models, together, request, scale)
        for stream, one in zip(together, measured, strict=True):
            print(_line(stream.name, one), flush=True)
            found[stream.kind].extend(one)
    by_file = _file_jobs(model, streams) if options.file_jobs else {}
    whole = Measured()
    for one in found.values():
        whole.extend(one)
    by_kind = {**found, "all": whole}
    return [Row(model, kind, one, by_file.get(kind)) for kind, one in by_kind.items()]


def _line(name: str, one: Measured) -> str:
    return (
        f"  {name}: WER {100 * one.counts.rate:.1f} %, commit p50 "
        f"{one.quantile('commit_s', 0.5):.2f} s, {one.cpu_s / one.audio_s:.2f} CPU s/s"
    )


def _file_jobs(model: str, streams: Sequence[Stream]) -> dict[str, float]:
    """The error rate of file jobs on the same streams, by kind."""
    hear = SYSTEMS[OURS].open(model)
    counts = {READ: Counts(), TELEPHONE: Counts()}
    with tempfile.TemporaryDirectory() as folder:
        for stream in streams:
            path = Path(folder) / "stream.wav"
            stream.write(path)
            text = "".join(segment.text for segment in hear(path, False).segments)
            counts[stream.kind] += errors(timed_units(stream.words)[0], units(text))
    rates = {kind: of.rate for kind, of in counts.items()}
    return {**rates, "all": sum(counts.values(), Counts()).rate}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.live",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--models", default="tiny.en,base", help="tiny.en,base")
    add("--half", type=int, choices=(0, 1), default=1, help="clips that streams are made of; 1")
    add("--each", type=int, default=3, help="streams of each kind; 3")
    add("--sessions", type=int, default=1, help="sessions at the same time on one core; 1")
    add("--delay", choices=get_args(Delay), default="normal", help="normal")
    add("--language", default="en", help="a code, or auto; en")
    add("--reference", type=float, help="CPU s in which a quiet core encodes 30 s; else scale 1")
    add("--no-file-jobs", dest="file_jobs", action="store_false", help="only live sessions")
    add("--speech", type=Path, default=SPEECH, help="the recordings; ../shared/speech")
    add("--work", type=Path, default=CHECKOUT / "data" / "bench-live", help="data/bench-live")
    add("--save", type=Path, help="directory for a dated copy of the report")
    return parser


if __name__ == "__main__":
    sys.exit(main())
