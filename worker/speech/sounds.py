"""Sounds that the VAD does not take for speech: music, noise, speech it did not recognise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource, Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WINDOW = SAMPLE_RATE_HZ // 10
"""Samples that are measured together: 0.1 s."""

_BLOCK = 600 * WINDOW
"""Samples that are read at a time."""

_BELOW_SPEECH_DB = 10.0
"""A sound that is weaker than the speech by more than this does not count, such as hiss."""

_AUDIBLE_DBFS = -60.0
"""A sound that is weaker than this cannot be heard."""

_SHORTEST_S = 1.0
_DIP_S = 0.3
"""A shorter pause does not end a sound."""


def find_sounds(
    audio: AudioSource,
    part: Span,
    voiced: Sequence[Span],
) -> list[Span]:
    """
    Spans of a part of the audio that are about as loud as its speech, but are no speech.

    If nobody speaks, every sound that can be heard counts.

    Args:
        voiced: Speech in it, in time order.

    Returns:
        Spans of more than a second, in time order.
    """
    import numpy as np

    levels = _levels(audio, part)
    is_voiced = np.zeros(len(levels), bool)
    for span in voiced:
        first, last = (span.start - part.start) // WINDOW, -(-(span.end - part.start) // WINDOW)
        is_voiced[max(0, first) : last] = True
    least = 10 ** (_AUDIBLE_DBFS / 10)
    if is_voiced.any():
        least = max(least, float(levels[is_voiced].mean()) * 10 ** (-_BELOW_SPEECH_DB / 10))
    is_loud = (levels >= least) & ~is_voiced
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_loud, [False]])))
    at = [min(part.end, part.start + int(edge) * WINDOW) for edge in edges]
    found = merged([Span(*pair) for pair in zip(at[::2], at[1::2], strict=True)], _DIP_S)
    return [span for span in found if span.duration_s > _SHORTEST_S]


def _levels(audio: AudioSource, part: Span) -> NDArray[np.float32]:
    """The mean square of each window, (n_windows,). The last window is padded with silence."""
    import numpy as np

    found = []
    for start in range(part.start, part.end, _BLOCK):
        samples = audio.read(start, min(part.end, start + _BLOCK))
        windows = np.pad(samples, (0, -len(samples) % WINDOW)).reshape(-1, WINDOW)
        found.append((windows**2).mean(axis=1))
    return np.concatenate(found)


def merged(spans: Sequence[Span], within_s: float) -> list[Span]:
    """
    Spans in time order; those that are at most `within_s` apart become one.

    >>> merged([Span(0, 8_000), Span(16_000, 24_000), Span(64_000, 72_000)], 0.5)
    [Span(start=0, end=24000), Span(start=64000, end=72000)]
    """
    found = list(spans[:1])
    for span, following in pairwise(spans):
        if following.start - max(span.end, found[-1].end) <= within_s * SAMPLE_RATE_HZ:
            found[-1] = Span(found[-1].start, max(found[-1].end, following.end))
        else:
            found.append(following)
    return found
