"""Whose voice is whose: known speakers' recordings heard, and matched with found ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

FARTHEST = 0.5
"""Cosine distance beyond which two voices are two people's."""


def match_speakers(
    found: Mapping[str, ArrayLike],
    known: Sequence[tuple[str, ArrayLike]],
    farthest: float = FARTHEST,
) -> dict[str, str]:
    """
    Name the found speakers whose voices are known.

    Everybody is matched at most once, so that the distances together are least. Of
    several recordings of one name the mean counts: of real voices it lies nearer to other speech
    of theirs, and farther from that of others, than the best of the recordings.

    Args:
        found: A vector for each speaker's voice.
        known: A name and a vector for each recording.

    Returns:
        The name of each found speaker that has one.

    >>> match_speakers({"SPEAKER_00": [1, 0], "SPEAKER_01": [0, 1]}, [("Ann", [0.1, 1])])
    {'SPEAKER_01': 'Ann'}
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    voices: dict[str, list[NDArray[np.float64]]] = {}
    for name, vector in known:
        voices.setdefault(name, []).append(_direction(vector))
    if not found or not voices:
        return {}
    names = list(voices)
    means = np.stack([_direction(np.mean(own, axis=0)) for own in voices.values()])
    distances = 1.0 - np.stack([_direction(vector) for vector in found.values()]) @ means.T
    # Beyond the threshold all are equally no match: a bad pair must not cost a good one.
    rows, columns = linear_sum_assignment(np.minimum(distances, farthest))
    speakers = list(found)
    return {
        speakers[i]: names[j]
        for i, j in zip(rows, columns, strict=True)
        if distances[i, j] < farthest
    }


def hear_whole(
    audio: AudioSource,
    chunk_s: float,
    hear: Callable[[NDArray[np.float32]], tuple[NDArray[np.float32] | None, float]],
) -> tuple[NDArray[np.float32] | None, float]:
    """
    The voice of a recording of any length, by those of its chunks.

    Where another one speaks most in some chunk, that chunk does not count: voices are
    compared with that of the chunk in which most is said.

    Args:
        chunk_s: Most seconds that `hear` takes.
        hear: Gives of (n_samples,) float32 a voice, or None, and how long it speaks alone.

    Returns:
        The same of the whole, the mean of its chunks' voices by how long they speak.
    """
    import numpy as np

    length = round(chunk_s * SAMPLE_RATE_HZ)
    starts = range(0, audio.n_samples, length)
    told = [hear(audio.read(start, min(start + length, audio.n_samples))) for start in starts]
    heard = [(_direction(voice), seconds) for voice, seconds in told if voice is not None]
    if not heard:
        return None, sum(seconds for _, seconds in told)
    surest, _ = max(heard, key=lambda each: each[1])
    alike = [(voice, seconds) for voice, seconds in heard if 1.0 - voice @ surest < FARTHEST]
    whole = np.sum([voice * seconds for voice, seconds in alike], axis=0)
    return whole.astype(np.float32), sum(seconds for _, seconds in alike)


def _direction(vector: ArrayLike) -> NDArray[np.float64]:
    """A vector of length 1, since loudness says nothing of a voice."""
    import numpy as np

    values = np.asarray(vector, float)
    return values / (float(np.linalg.norm(values)) + 1e-12)
