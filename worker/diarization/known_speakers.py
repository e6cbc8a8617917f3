"""Which of the speakers that were found are known, by embeddings of their voices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from shared.transcript import Warned
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource
from worker.diarization.values import KnownSpeaker

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

LEAST_REFERENCE_S = 0.5
"""Seconds that somebody must speak in a reference recording for their voice to be known."""

FARTHEST = 0.5
"""The cosine distance from which two voices belong to two people."""


def name_speakers(
    found: Mapping[str, ArrayLike],
    known: Sequence[KnownSpeaker],
    embed_voice: Callable[[AudioSource], tuple[NDArray[np.float32] | None, float]],
) -> tuple[dict[str, str], list[Warned]]:
    """
    Name the speakers whose voices are known.

    Args:
        found: An embedding of each speaker that was found.
        embed_voice: Takes a reference recording. Returns the embedding of its voice, or None, and
            for how many seconds it speaks alone.

    Returns:
        The name of each speaker that has one, and warnings about references with too little
        speech.
    """
    voices: list[tuple[str, ArrayLike]] = []
    warnings = []
    for speaker in known:
        voice, seconds = embed_voice(speaker.audio)
        if voice is not None and seconds >= LEAST_REFERENCE_S:
            voices.append((speaker.name, voice))
            continue
        message = (
            f"the recording of {speaker.name!r} holds {seconds:.1f} s of speech, and "
            f"{LEAST_REFERENCE_S} s are needed; give 2 to 10 s of that voice alone"
        )
        warnings.append(Warned(code="known_speaker_unusable", message=message))
    return match_speakers(found, voices), warnings


def match_speakers(
    found: Mapping[str, ArrayLike],
    known: Sequence[tuple[str, ArrayLike]],
) -> dict[str, str]:
    """
    Match the speakers that were found with known voices.

    Each name is given at most once; the sum of distances is the smallest. If there are several
    recordings of a name, their mean counts. With real voices, the mean is nearer to other speech
    of the same person than the best single recording, and farther from that of others.

    Args:
        found: An embedding of each speaker that was found.
        known: A name and an embedding for each recording.

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
    # All pairs beyond the threshold cost the same, so that they do not displace a good one.
    rows, columns = linear_sum_assignment(np.minimum(distances, FARTHEST))
    speakers = list(found)
    return {
        speakers[i]: names[j]
        for i, j in zip(rows, columns, strict=True)
        if distances[i, j] < FARTHEST
    }


def embed_recording(
    audio: AudioSource,
    chunk_s: float,
    embed: Callable[[NDArray[np.float32]], tuple[NDArray[np.float32] | None, float]],
) -> tuple[NDArray[np.float32] | None, float]:
    """
    Embed the voice of a recording of any length, chunk by chunk.

    The chunk with most speech says whose voice it is. Chunks in which somebody else speaks most
    are left out.

    Args:
        chunk_s: The most seconds that `embed` takes.
        embed: Takes (n_samples,) float32. Returns the embedding of one voice, or None, and for how
            many seconds it speaks alone.

    Returns:
        The same for the whole recording: the mean of its chunks, weighted by seconds.
    """
    import numpy as np

    length = round(chunk_s * SAMPLE_RATE_HZ)
    starts = range(0, audio.n_samples, length)
    found = [embed(audio.read(start, min(start + length, audio.n_samples))) for start in starts]
    voices = [(_direction(voice), seconds) for voice, seconds in found if voice is not None]
    if not voices:
        return None, sum(seconds for _, seconds in found)
    surest, _ = max(voices, key=lambda each: each[1])
    alike = [(voice, seconds) for voice, seconds in voices if 1.0 - voice @ surest < FARTHEST]
    whole = np.sum([voice * seconds for voice, seconds in alike], axis=0)
    return whole.astype(np.float32), sum(seconds for _, seconds in alike)


def _direction(vector: ArrayLike) -> NDArray[np.float64]:
    """The vector scaled to length 1."""
    import numpy as np

    values = np.asarray(vector, float)
    return values / (float(np.linalg.norm(values)) + 1e-12)
