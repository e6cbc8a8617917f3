"""How loud a recording is; that says how its channels are mixed and what gain it needs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from worker.audio.frames import Samples

BLOCK = 512
"""Samples per level: 32 ms. An hour has 225 kB of levels per channel."""

_NOTHING_DB = -100.0
"""Silence: below one step of 16 bits."""

_WINDOW = 31
"""About a second, in blocks."""

_WITHIN = 85
"""A second is as loud as this percentile of its blocks: a click does not count, a word does."""

_LOUDEST_SHARE, _LOUDEST_S = 0.2, 10
"""A recording is as loud as its loudest seconds: a fifth of those with sound, but at most ten."""

_ABOVE_FLOOR_DB = 6.0
"""A second holds more than noise if it is this much louder than the noise."""

QUIET_DB, TARGET_QUIET_DB = -36.0, -22.0
"""Recordings that are quieter are raised. Silero misses speech below -40 dB."""

LOUD_DB, TARGET_LOUD_DB = -4.0, -20.0
"""Recordings that are louder are lowered if they are clipped, or would be in 16 bits: silero takes
all of such a recording for speech."""

_FULL, _CLIPPED_SHARE = 0.999, 0.01
"""A recording is clipped if this share of its samples is at full scale or over it."""

_MOST_GAIN_DB = 70.0

_APART_DB = 12.0
"""A channel is raised if it is this much quieter than the loudest, and somebody speaks in it."""

_CLEAR_DB = 15.0
"""Somebody speaks in it if its loud parts are this far above its noise. Hiss is not raised."""

_OWN_SHARE = 0.2
"""And if in this share of its loud parts no other channel is loud; otherwise it is crosstalk."""

_LOST_DB = -10.0
"""Channels cancel each other if their mix is this far below that of unrelated sounds."""

_LOST_SHARE = 0.1


class Levels:
    """The levels of channels and of their mean, in blocks; `peak` is 1 at full scale."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._waiting: list[Samples] = []
        self._found: dict[int, list[NDArray[np.float16]]] = {}
        self._n_full: dict[int, NDArray[np.int64]] = {}

    def add(self, samples: Samples) -> None:
        """Measure the next samples, (n_samples, n_channels) float32 at 16 kHz."""
        if not len(samples):
            return
        if self._waiting and self._waiting[0].shape[1] != samples.shape[1]:
            self._end()
        self._waiting.append(samples)
        # Several blocks in one call: a call costs as much for one block.
        if sum(map(len, self._waiting)) >= _WINDOW * BLOCK:
            self._measure()

    def _measure(self) -> None:
        samples = np.concatenate(self._waiting)
        n_whole = len(samples) // BLOCK * BLOCK or len(samples)
        self._waiting = [samples[n_whole:]]
        n_channels = samples.shape[1]
        heights = np.abs(samples[:n_whole])
        self.peak = max(self.peak, float(heights.max()))
        measured = _measured(samples[:n_whole], min(BLOCK, n_whole))
        self._found.setdefault(n_channels, []).append(measured)
        self._n_full[n_channels] = self._n_full.get(n_channels, 0) + (heights >= _FULL).sum(axis=0)

    def _end(self) -> None:
        n_left = sum(map(len, self._waiting))
        is_new = n_left > 0 and self._waiting[0].shape[1] not in self._found
        if n_left >= BLOCK or is_new:  # less than a block is left out
            self._measure()
        self._waiting = []

    def clipped(self, n_channels: int) -> NDArray[np.bool_]:
        """(n_channels,): whether each channel is clipped, in the parts with so many channels."""
        n_samples = sum(map(len, self._found[n_channels])) * BLOCK
        is_clipped: NDArray[np.bool_] = self._n_full[n_channels] > _CLIPPED_SHARE * n_samples
        return is_clipped

    def by_channels(self) -> Mapping[int, NDArray[np.float32]]:
        """By number of channels: (n_blocks, n_channels + 1) in dB of full scale, the mean last."""
        self._end()
        return {n: np.concatenate(found).astype(np.float32) for n, found in self._found.items()}


def _measured(samples: Samples, block: int = BLOCK) -> NDArray[np.float16]:
    mean = samples.mean(axis=1, keepdims=True)
    blocks = np.hstack([samples, mean]).reshape(len(samples) // block, block, -1)
    power = np.einsum("bsc,bsc->bc", blocks, blocks) / block
    levels: NDArray[np.float16] = (10 * np.log10(np.maximum(power, 1e-20))).astype(np.float16)
    return levels


@dataclass(frozen=True)
class Mix:
    """
    How channels are mixed and raised.

    Attributes:
        factors: By number of channels, (n_channels, n_written).
        is_plain: Whether it changes nothing: what is written without it is the same.
    """

    factors: Mapping[int, NDArray[np.float32]]
    is_plain: bool

    def apply(self, samples: Samples) -> Samples:
        """(n_samples, n_channels) float32 to (n_samples, n_written)."""
        mixed: Samples = samples @ self.factors[samples.shape[1]]
        return mixed


def choose_mix(levels: Levels) -> Mix:
    """
    How all channels become one: by their mean, unless somebody would not be heard in it.

    If they cancel each other, for example because the polarity of one is reversed, a single channel
    is taken. If somebody speaks far more quietly in one than in the others, it is raised to their
    level.
    """
    weights: dict[int, NDArray[np.float32]] = {}
    heard: list[NDArray[np.float32]] = []
    is_plain = True
    for n_channels, found in levels.by_channels().items():
        chosen = _weights(found[:, :-1], found[:, -1])
        is_plain = is_plain and chosen is None
        mean = np.full(n_channels, 1 / n_channels, np.float32)
        weights[n_channels] = mean if chosen is None else chosen
        heard.append(found[:, -1] if chosen is None else _mixed(found[:, :-1], chosen))
    is_clipped = any(levels.clipped(n).any() for n in weights)
    gain = gain_for(np.concatenate(heard), is_clipped) if heard else 1.0
    factors = {n: (weight * gain)[:, None].astype(np.float32) for n, weight in weights.items()}
    return Mix(factors, is_plain and gain == 1.0)


def level_each(levels: Levels) -> Mix:
    """How each channel is written by itself: with a gain of its own."""
    factors = {}
    is_plain = True
    for n_channels, found in levels.by_channels().items():
        clipped = levels.clipped(n_channels)
        gains = [gain_for(found[:, n], bool(clipped[n])) for n in range(n_channels)]
        is_plain = is_plain and set(gains) == {1.0}
        factors[n_channels] = np.diag(gains).astype(np.float32)
    return Mix(factors, is_plain)


def gain_for(levels: NDArray[np.float32], is_clipped: bool = False) -> float:
    """
    The factor that brings a recording to a usual level.

    Args:
        levels: (n_blocks,) in dB of full scale.
        is_clipped: Whether its samples are clipped.

    Returns:
        1 if the level is usual already, or if there is only noise.

    >>> speech = np.tile(np.repeat([-70.0, -50.0], 10), 20)
    >>> round(20 * math.log10(gain_for(speech)))
    28
    >>> gain_for(speech + 30), gain_for(np.full(400, -50.0))
    (1.0, 1.0)
    """
    loud = _loudness(levels)
    if loud > LOUD_DB and is_clipped:
        return float(10 ** ((TARGET_LOUD_DB - loud) / 20))
    if loud > QUIET_DB or loud - _floor(levels) < _ABOVE_FLOOR_DB:
        return 1.0
    return float(10 ** (min(_MOST_GAIN_DB, TARGET_QUIET_DB - loud) / 20))


def _loudness(levels: NDArray[np.float32]) -> float:
    """The level of the loudest seconds, in dB; by seconds, since blocks may be clicks."""
    sounding = levels[levels > _NOTHING_DB]
    if not len(sounding):
        return _NOTHING_DB
    windows = np.array_split(sounding, max(1, round(len(sounding) / _WINDOW)))
    seconds = np.sort([np.percentile(window, _WITHIN) for window in windows])[::-1]
    n_active = int((seconds > _floor(levels) + _ABOVE_FLOOR_DB).sum()) or len(seconds)
    n_loudest = min(_LOUDEST_S, math.ceil(_LOUDEST_SHARE * n_active))
    return float(seconds[n_loudest - 1])


def _floor(levels: NDArray[np.float32]) -> float:
    """The level of the noise, in dB."""
    sounding = levels[levels > _NOTHING_DB]
    return float(np.percentile(sounding, 10)) if len(sounding) else _NOTHING_DB


def _weights(
    channels: NDArray[np.float32], mean: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """Weights of channels, from their levels and those of their mean; None if all are equal."""
    n_channels = channels.shape[1]
    if n_channels == 1:
        return None
    loud = np.array([_loudness(channels[:, n]) for n in range(n_channels)])
    loudest = channels.max(axis=1)
    heard = loudest > loud.max() - 20
    unrelated = _mixed(channels, np.full(n_channels, 1 / n_channels))
    if (mean - unrelated < _LOST_DB)[heard].mean() > _LOST_SHARE:
        n_near = (channels[heard] > loudest[heard, None] - 10).sum(axis=0)
        one: NDArray[np.float32] = np.eye(n_channels, dtype=np.float32)[n_near.argmax()]
        return one
    raised = [_raise(channels, loud, n) for n in range(n_channels)]
    if set(raised) == {0.0}:
        return None
    weights: NDArray[np.float32] = (10 ** (np.array(raised) / 20) / n_channels).astype(np.float32)
    return weights


def _raise(channels: NDArray[np.float32], loud: NDArray[np.float64], n: int) -> float:
    """By how many dB a channel is raised to the loudest."""
    if loud[n] > loud.max() - _APART_DB or loud[n] - _floor(channels[:, n]) < _CLEAR_DB:
        return 0.0
    active = channels[:, n] > loud[n] - _APART_DB
    others = np.delete(channels, n, axis=1)[active]
    is_own = (others < np.delete(loud, n) - _CLEAR_DB).all(axis=1)
    return float(loud.max() - loud[n]) if is_own.mean() > _OWN_SHARE else 0.0


def _mixed(channels: NDArray[np.float32], weights: NDArray[np.floating]) -> NDArray[np.float32]:
    """The levels that a mix would have if its channels were unrelated."""
    power = (10 ** (channels.astype(np.float64) / 10)) @ (weights.astype(np.float64) ** 2)
    levels: NDArray[np.float32] = (10 * np.log10(np.maximum(power, 1e-20))).astype(np.float32)
    return levels
