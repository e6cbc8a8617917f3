"""When each word of a recording is said: told with the recordings, or found with a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from bench.evaluation.heard import Part
from bench.evaluation.scoring import units
from bench.evaluation.speech import Clip, Utterance, read_word_times
from bench.evaluation.systems import OURS, SYSTEMS, Hear

_MODEL = "base"


class WordTimes:
    """
    Words and their times.

    Where they are not told, a file job finds them: a word that it heard has its times, and words
    that it did not hear share the time between their neighbours.

    Args:
        speech: The folder of recordings.
        work: Where what was found is kept.
    """

    def __init__(self, speech: Path, work: Path) -> None:
        self._told = read_word_times(speech)
        self._work = work
        self._hear: Hear | None = None

    def of(self, clip: Clip) -> list[Utterance]:
        """Each word of a clip, in order; times in seconds from its start."""
        text = " ".join(utterance.text for utterance in clip.utterances)
        told = self._told.get(clip.path.name)
        if told is not None:
            return told
        key = hashlib.sha256(clip.path.read_bytes() + text.encode()).hexdigest()[:16]
        kept = self._work / f"{clip.name}-{key}.json"
        if not kept.is_file():
            found = _placed(text.split(), self._heard(clip), clip.duration_s)
            self._work.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps([[w.text, w.start, w.end] for w in found]), "utf-8")
        return [Utterance(*word) for word in json.loads(kept.read_text("utf-8"))]

    def _heard(self, clip: Clip) -> Sequence[Part]:
        self._hear = self._hear or SYSTEMS[OURS].open(_MODEL)
        return self._hear(clip.path, True).words


def _placed(words: Sequence[str], heard: Sequence[Part], duration_s: float) -> list[Utterance]:
    """
    Words with the times of those that were heard.

    >>> heard = [Part(" I", 0.0, 0.5), Part(" here", 1.5, 2.0)]
    >>> [(word.start, word.end) for word in _placed(["i", "am", "here"], heard, 3.0)]
    [(0.0, 0.5), (0.5, 1.5), (1.5, 2.0)]
    """
    plain = [" ".join(units(word)) for word in words]
    plain_heard = [" ".join(units(word.text)) for word in heard]
    times: dict[int, tuple[float, float]] = {}
    for block in Levenshtein.opcodes(plain, plain_heard):
        if block.tag == "equal":
            for n in range(block.src_end - block.src_start):
                part = heard[block.dest_start + n]
                times[block.src_start + n] = (part.start, part.end)
    placed: list[Utterance] = []
    at = 0
    while at < len(words):
        if at in times:
            placed.append(Utterance(words[at], *times[at]))
            at += 1
            continue
        after = next((n for n in range(at, len(words)) if n in times), len(words))
        start_s = placed[-1].end if placed else 0.0
        end_s = max(start_s, times[after][0] if after in times else duration_s)
        each_s = (end_s - start_s) / (after - at)
        placed += [
            Utterance(words[n], start_s + (n - at) * each_s, start_s + (n - at + 1) * each_s)
            for n in range(at, after)
        ]
        at = after
    return placed
