"""Whose voice is whose: found speakers and known ones, matched one to one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

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
    several recordings of one name the nearest counts.

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

    names = list(dict.fromkeys(name for name, _ in known))
    if not found or not names:
        return {}
    distances = np.array(
        [
            [min(_distance(a, b) for name, b in known if name == wanted) for wanted in names]
            for a in found.values()
        ]
    )
    # Beyond the threshold all are equally no match: a bad pair must not cost a good one.
    rows, columns = linear_sum_assignment(np.minimum(distances, farthest))
    speakers = list(found)
    return {
        speakers[i]: names[j]
        for i, j in zip(rows, columns, strict=True)
        if distances[i, j] < farthest
    }


def _distance(a: ArrayLike, b: ArrayLike) -> float:
    import numpy as np

    x, y = np.asarray(a, float), np.asarray(b, float)
    return 1.0 - float(x @ y) / (float(np.linalg.norm(x) * np.linalg.norm(y)) + 1e-12)
