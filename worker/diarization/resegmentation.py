"""
Whose voice is heard in each moment, once it is known what each voice sounds like.

The network that finds speech knows three voices in ten seconds, so its numbers do not carry where
more people talk. Therefore each moment is told by what it sounds like, along the most probable
path. Changing costs, least where speech stops or where another voice was heard to begin. What the
network heard as one voice throughout a chunk is evidence too, as far as the moments do not
contradict it: it is what tells a short "yes" apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.diarization.embedding_extraction import STEP_FRAMES, Embeddings
from worker.diarization.segmentation import N_SPEAKERS
from worker.diarization.timeline import FRAME_S, Timeline, alone, runs

_PLACE_S = STEP_FRAMES * FRAME_S

_LEAST_TRACK = 20
"""Frames a voice of a chunk has to be heard, 0.34 s, to say anything."""

_BESIDE = 0.3
"""How much it speaks for a voice, where two talk at once, that it speaks just before or after."""

_BLOCK = 4096


@dataclass(frozen=True)
class Weights:
    """
    How evidence is weighed; similarities are cosines.

    Attributes:
        change: What it costs to go over to another voice, in seconds of similarity 1.
        change_at_hint: Share of that where a voice was heard to begin, or speech stops.
        track: What a voice of a chunk counts beside what the moment sounds like.
        contradicted: By how much a moment has to sound more like another voice to contradict it.
        contradiction: How much weight each share of contradicting moments takes away.
    """

    change: float = 0.1
    change_at_hint: float = 0.25
    track: float = 0.35
    contradicted: float = 0.2
    contradiction: float = 3.0


def resegment(
    timeline: Timeline, heard: Embeddings, voices: NDArray[np.float32], weights: Weights
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """
    Decide for every frame.

    Args:
        voices: (n_voices, 192) of length 1.

    Returns:
        (n_frames, n_voices) who speaks, at most two at once; and (n_frames,) the one of them who
        holds the turn, -1 where nobody speaks.
    """
    n_frames = len(timeline.counts)
    similar = _similar(heard.places, voices)  # (n_places, n_voices)
    changing = _costs(timeline, weights)
    speaking = timeline.counts[_middles(n_frames)] > 0
    votes = _votes(timeline, heard, voices, similar, weights)  # (n_frames, n_voices)
    evidence = similar + weights.track * votes[_middles(n_frames)]
    path = best_path(evidence * speaking[:, None], changing)
    holds = np.repeat(path, STEP_FRAMES)[:n_frames]
    who = (holds[:, None] == np.arange(len(voices))) & (timeline.counts > 0)[:, None]
    if len(voices) > 1:
        for a, b in runs(timeline.counts >= 2):
            likely = votes[a:b].mean(axis=0)
            likely = likely + 0.1 * similar[a // STEP_FRAMES : b // STEP_FRAMES + 1].mean(axis=0)
            likely[holds[max(0, a - 1)]] += _BESIDE
            likely[holds[min(n_frames - 1, b)]] += _BESIDE
            two = np.argsort(-likely, kind="stable")[:2]
            who[a:b] = False
            who[a:b, two] = True
            holds[a:b] = np.where(np.isin(holds[a:b], two), holds[a:b], two[0])
    return who, np.where(timeline.counts > 0, holds, -1)


def best_path(evidence: NDArray[np.float64], changing: NDArray[np.float64]) -> NDArray[np.int64]:
    """
    Who speaks at each place, so that evidence less the cost of changes is greatest (Viterbi).

    >>> heard = np.array([[1, 0], [0.4, 0.6], [1, 0], [0, 1], [0, 1.0]])
    >>> best_path(heard, np.full(5, 0.5)).tolist()
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
    """The frame in the middle of each place."""
    middles = np.arange(0, n_frames, STEP_FRAMES) + STEP_FRAMES // 2
    return np.minimum(middles, n_frames - 1)


def _costs(timeline: Timeline, weights: Weights) -> NDArray[np.float64]:
    """(n_places,) what it costs to go over to another voice there."""
    hints = np.maximum(timeline.changes(), 0.6 * (timeline.counts == 0))
    hints = hints[_middles(len(timeline.counts))]
    costs: NDArray[np.float64] = (
        weights.change / _PLACE_S * (1 - (1 - weights.change_at_hint) * hints)
    )
    return costs


def _votes(
    timeline: Timeline,
    heard: Embeddings,
    voices: NDArray[np.float32],
    similar: NDArray[np.float32],
    weights: Weights,
) -> NDArray[np.float32]:
    """
    Of the chunks that see a frame, the share for which each voice speaks there.

    Within a chunk every voice is somebody else's, so that the likenesses together are greatest.
    """
    from scipy.optimize import linear_sum_assignment

    n_frames = len(timeline.counts)
    votes = np.zeros((n_frames, len(voices)), np.float32)
    seen = np.zeros(n_frames, np.float32)
    at_frame = np.arange(n_frames) // STEP_FRAMES
    for (span, chunk), tracks in zip(timeline.chunks(), heard.tracks, strict=True):
        seen[span] += 1
        alike = tracks @ voices.T  # (3, n_voices)
        present = [
            k for k in range(N_SPEAKERS) if tracks[k].any() and chunk[:, k].sum() >= _LEAST_TRACK
        ]
        if not present:
            continue
        moments = similar[at_frame[span]]
        better = moments.max(axis=1, keepdims=True) - moments > weights.contradicted
        speaker = alone(chunk)
        for row, voice in zip(*linear_sum_assignment(-alike[present]), strict=True):
            k = present[row]
            spoken = speaker == k
            spoken = spoken if spoken.sum() >= _LEAST_TRACK else chunk[:, k]
            against = better[spoken, voice].mean()
            weight = max(0.0, 1 - weights.contradiction * float(against))
            votes[span, voice] += chunk[:, k] * np.float32(weight)
    votes /= np.maximum(seen, 1)[:, None]
    return votes
