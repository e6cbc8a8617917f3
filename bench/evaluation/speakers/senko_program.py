"""Runs senko over some files, in senko's own environment; so it imports nothing of ours."""

from __future__ import annotations

import json
import resource
import sys
import time


def main() -> None:
    """Write what `programs` writes."""
    import senko

    diarizer = senko.Diarizer(device="cpu", warmup=False, quiet=True)
    for path in sys.argv[1:]:
        start_s = time.process_time()
        found = diarizer.diarize(path, generate_colors=False)
        segments = found["merged_segments"] if found else []
        turns = [(s["speaker"], s["start"], s["end"]) for s in segments]
        cpu_s = time.process_time() - start_s
        told = {"path": path, "turns": turns, "exclusive": turns, "cpu_s": cpu_s}
        print(json.dumps(told), flush=True)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"rss_bytes": largest}), flush=True)


if __name__ == "__main__":
    main()
