"""
Who speaks in each frame, once the embedding of each voice is known.

The segmentation network knows at most three voices in ten seconds. If more people talk, its
numbers cannot be carried from chunk to chunk. So each place is compared with all voices, and the
most probable path through the places is taken (Viterbi). A change of voice has a cost. It is
lowest where speech stops, or where the network heard another voice begin.

What the network heard as one voice of a chunk is evidence, too, unless the places contradict it.
Without it, a short "yes" would go to the wrong speaker.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.diarization.embedding_extraction import STEP_FRAMES, Embeddings
from worker.diarization.timeline import FRAME_S, Timeline, alone, runs

_PLACE_S = STEP_FRAMES * FRAME_S

_LEAST_FRAMES = 20
"""Frames that a voice of a chunk must speak to count as evidence: 0.34 s."""

_BESIDE = 0.3
"""Where two talk at once: more evidence for a voice if it also speaks just before or after."""

_BLOCK = 4096


@dataclass(frozen=True)
class Weights:
    """
    How evidence is weighed; similarities are cosines. Chosen on the dialogues of `make eval`.

    Attributes:
        change: The cost of a change of voice, in seconds of similarity 1.
        change_at_hint: The share of this cost where a voice was heard to begin, or speech stops.
        chunk_vote: The weight of a voice of a chunk, beside the similarity of the place.
        contradicted: A place contradicts a voice if it is this much more similar to another one.
        contradiction: How much weight each share of contradicting places takes away.
    """

    change: float = 0.1
    change_at_hint: float = 0.25
    chunk_vote: float = 0.35
    contradicted: float = 0.2
    contradiction: float = 3.0


def resegment(
    timeline: Timeline, embeddings: Embeddings, voices: NDArray[np.float32], weights: Weights
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """
    Decide for every frame who speaks.

    Args:
        voices: (n_voices, 192), each of length 1.

    Returns:
        (n_frames, n_voices), who speaks, at most two at once; and (n_frames,), the main speaker of
        each frame, -1 where nobody speaks.
    """
    n_frames = len(timeline.counts)
    similar = _similar(embeddings.places, voices)  # (n_places, n_voices)
    changing = _costs(timeline, weights)
    speaking = timeline.counts[_middles(n_frames)] > 0
    votes = _votes(timeline, embeddings, voices, similar, weights)  # (n_frames, n_voices)
    evidence = similar + weights.chunk_vote * votes[_middles(n_frames)]
    path = best_path(evidence * speaking[:, None], changing)
    main = np.repeat(path, STEP_FRAMES)[:n_frames]
    who = (main[:, None] == np.arange(len(voices))) & (timeline.counts > 0)[:, None]
    if len(voices) > 1:
        for a, b in runs(timeline.counts >= 2):
            likely = votes[a:b].mean(axis=0)
            likely = likely + 0.1 * similar[a // STEP_FRAMES : b // STEP_FRAMES + 1].mean(axis=0)
            likely[main[max(0, a - 1)]] += _BESIDE
            likely[main[min(n_frames - 1, b)]] += _BESIDE
            two = np.argsort(-likely, kind="stable")[:2]
            who[a:b] = False
            who[a:b, two] = True
            main[a:b] = np.where(np.isin(main[a:b], two), main[a:b], two[0])
    return who, np.where(timeline.counts > 0, main, -1)


def best_path(evidence: NDArray[np.float64], changing: NDArray[np.float64]) -> NDArray[np.int64]:
    """
    The voice of each place for which evidence minus the cost of changes is greatest (Viterbi).

    Args:
        evidence: (n_places, n_voices).
        changing: (n_places,), the cost of another voice than at the place before.

    >>> evidence = np.array([[1, 0], [0.4, 0.6], [1, 0], [0, 1], [0, 1.0]])
    >>> best_path(evidence, np.full(5, 0.5)).tolist()
    [0, 0, 0, 1, 1]
    """
    n_places, n_voices = evidence.shape
    stay = np.arange(n_voices)
    came_from = np.zeros((n_places, n_voices), np.int32)
    total = evidence[0].copy()
    for place in range(1, n_places):
        best = total.argmax()
        changed = total[best] - changing[place]
        came_from[place] = np.where(total >= changed, stay, best)
        total = np.maximum(total, changed) + evidence[place]
    path = np.zeros(n_places, np.int64)
    path[-1] = total.argmax()
    for place in range(n_places - 1, 0, -1):
        path[place - 1] = came_from[place, path[place]]
    return path


def _similar(places: NDArray[np.float16], voices: NDArray[np.float32]) -> NDArray[np.float32]:
    blocks = [places[i : i + _BLOCK] for i in range(0, len(places), _BLOCK)]
    return np.concatenate([block.astype(np.float32) @ voices.T for block in blocks])


def _middles(n_frames: int) -> NDArray[np.int64]:
    """The middle frame of each place."""
    middles = np.arange(0, n_frames, STEP_FRAMES) + STEP_FRAMES // 2
    return np.minimum(middles, n_frames - 1)


def _costs(timeline: Timeline, weights: Weights) -> NDArray[np.float64]:
    """The cost of a change of voice at each place, (n_places,)."""
    hints = np.maximum(timeline.changes(), 0.6 * (timeline.counts == 0))
    hints = hints[_middles(len(timeline.counts))]
    costs: NDArray[np.float64] = (
        weights.change / _PLACE_S * (1 - (1 - weights.change_at_hint) * hints)
    )
    return costs


def _votes(
    timeline: Timeline,
    embeddings: Embeddings,
    voices: NDArray[np.float32],
    similar: NDArray[np.float32],
    weights: Weights,
) -> NDArray[np.float32]:
    """
    The share of chunks over a frame in which each voice speaks, (n_frames, n_voices).

    The voices of a chunk are different people: they are matched so that the sum of similarities is
    greatest.
    """
    from scipy.optimize import linear_sum_assignment

    n_frames = len(timeline.counts)
    votes = np.zeros((n_frames, len(voices)), np.float32)
    seen = np.zeros(n_frames, np.float32)
    at_frame = np.arange(n_frames) // STEP_FRAMES
    for (span, chunk), chunk_voices in zip(timeline.chunks(), embeddings.chunk_voices, strict=True):
        seen[span] += 1
        alike = chunk_voices @ voices.T  # (3, n_voices)
        speaks = chunk_voices.any(axis=1) & (chunk.sum(axis=0) >= _LEAST_FRAMES)
        present = np.flatnonzero(speaks)
        if not len(present):
            continue
        places = similar[at_frame[span]]
        better = places.max(axis=1, keepdims=True) - places > weights.contradicted
        speaker = alone(chunk)
        for row, voice in zip(*linear_sum_assignment(-alike[present]), strict=True):
            k = present[row]
            spoken = speaker == k
            spoken = spoken if spoken.sum() >= _LEAST_FRAMES else chunk[:, k]
            against = better[spoken, voice].mean()
            weight = max(0.0, 1 - weights.contradiction * float(against))
            votes[span, voice] += chunk[:, k] * np.float32(weight)
    votes /= np.maximum(seen, 1)[:, None]
    return votes
