"""
Where somebody speaks, and how to cut it into chunks a model takes.

The voice activity model is silero's, as faster-whisper ships it. It is run
block by block with its state carried over, so that memory does not grow with
the length of the audio.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from worker.audio import SAMPLE_RATE_HZ, AudioSource

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WINDOW = 512
"""Samples per probability: 32 ms."""

_CONTEXT = 64
_BLOCK_WINDOWS = 2_000
"""Windows per run of the model: 64 s, about 4 MB."""

MAX_CHUNK_S = 30.0


class Span(NamedTuple):
    """A span of samples, `start` inclusive, `end` exclusive."""

    start: int
    end: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return (self.end - self.start) / SAMPLE_RATE_HZ


@dataclass(frozen=True)
class SpeechOptions:
    """
    Attributes:
        threshold: A window at least this probable is speech.
        end_threshold: Speech ends below this.
        min_speech_s: Shorter bursts are dropped.
        min_silence_s: Shorter pauses do not end a span.
        pad_s: Added at both ends of a span, so that no first sound is cut off.
    """

    threshold: float = 0.5
    end_threshold: float = 0.35
    min_speech_s: float = 0.1
    min_silence_s: float = 0.3
    pad_s: float = 0.25


@cache
def _session() -> Any:
    from faster_whisper.vad import get_vad_model

    return get_vad_model().session


def speech_probabilities(
    audio: AudioSource, report: Callable[[float], None] = lambda fraction: None
) -> NDArray[np.float32]:
    """
    How probable speech is in each window of 32 ms.

    Args:
        report: Called after each block with the fraction done.

    Returns:
        (n_windows,) float32; the last window is padded with silence.
    """
    import numpy as np

    state = [np.zeros((1, 1, 128), np.float32), np.zeros((1, 1, 128), np.float32)]
    before = np.zeros(_CONTEXT, np.float32)
    found = []
    step = _BLOCK_WINDOWS * WINDOW
    for start in range(0, audio.n_samples, step):
        block = audio.read(start, start + step)
        block = np.pad(block, (0, -len(block) % WINDOW)).reshape(-1, WINDOW)
        contexts = np.vstack([before, block[:-1, -_CONTEXT:]])
        inputs = np.hstack([contexts, block])  # (n_windows, 576)
        output, *state = _session().run(None, {"input": inputs, "h": state[0], "c": state[1]})
        found.append(output.reshape(-1))
        before = block[-1, -_CONTEXT:]
        report(min(1.0, (start + step) / audio.n_samples))
    return np.concatenate(found)


def find_speech(
    probabilities: Sequence[float] | NDArray[np.float32],
    n_samples: int,
    options: SpeechOptions | None = None,
) -> list[Span]:
    """
    Spans in which somebody speaks, padded, in order, not overlapping.

    >>> find_speech([0.0] * 40 + [0.9] * 40 + [0.0] * 40, 120 * 512)
    [Span(start=16480, end=44960)]
    """
    options = options or SpeechOptions()
    min_silence = options.min_silence_s * SAMPLE_RATE_HZ
    min_speech = options.min_speech_s * SAMPLE_RATE_HZ
    found: list[Span] = []
    start = quiet_since = None
    for i, probability in enumerate(probabilities):
        at = i * WINDOW
        if probability >= options.threshold:
            quiet_since = None
            if start is None:
                start = at
        elif start is not None and probability < options.end_threshold:
            quiet_since = at if quiet_since is None else quiet_since
            if at - quiet_since >= min_silence:
                found.append(Span(start, quiet_since))
                start = quiet_since = None
    if start is not None:
        found.append(Span(start, quiet_since if quiet_since is not None else n_samples))
    kept = [span for span in found if span.end - span.start >= min_speech]
    return _pad(kept, n_samples, int(options.pad_s * SAMPLE_RATE_HZ))


def _pad(spans: list[Span], n_samples: int, pad: int) -> list[Span]:
    """Widen each span by `pad`, or by half the pause where two would meet."""
    padded = []
    for i, span in enumerate(spans):
        before = span.start - spans[i - 1].end if i else 2 * span.start
        after = spans[i + 1].start - span.end if i + 1 < len(spans) else 2 * pad
        start = max(0, span.start - min(pad, before // 2))
        padded.append(Span(start, min(n_samples, span.end + min(pad, after // 2))))
    return padded


def cut_chunks(
    spans: Sequence[Span],
    probabilities: Sequence[float] | NDArray[np.float32],
    max_s: float = MAX_CHUNK_S,
) -> list[Span]:
    """
    Pack speech into chunks of at most `max_s`, cut where it is quietest.

    A chunk runs from the start of its first span to the end of its last, with
    the pauses between them, so that times within it need only its start added.
    """
    longest = int(max_s * SAMPLE_RATE_HZ)
    chunks: list[Span] = []
    for span in spans:
        for piece in _split(span, probabilities, longest):
            if chunks and piece.end - chunks[-1].start <= longest:
                chunks[-1] = Span(chunks[-1].start, piece.end)
            else:
                chunks.append(piece)
    return chunks


def _split(
    span: Span, probabilities: Sequence[float] | NDArray[np.float32], longest: int
) -> list[Span]:
    """Cut a span longer than `longest` at the quietest window of each last third."""
    pieces = []
    start, end = span
    while end - start > longest:
        first = (start + longest * 2 // 3) // WINDOW
        last = (start + longest) // WINDOW
        quietest = min(range(first, last), key=lambda i: probabilities[i])
        at = quietest * WINDOW + WINDOW // 2
        pieces.append(Span(start, at))
        start = at
    return [*pieces, Span(start, end)]
