"""An alignment model: words get times, segment by segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from shared.transcript import Segment
from worker.alignment.network import Network, find_labels
from worker.alignment.order import in_order
from worker.alignment.phrases import Phrase, make_phrases, with_times, without_alignment
from worker.alignment.times import Interpolation, Timing, time_letters
from worker.alignment.values import AlignmentOptions
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource

if TYPE_CHECKING:
    from torch import Tensor

_HOLD_S = 0.08
"""A sound may last this much longer than its label, unless the next label comes first."""

_BATCH_SEGMENTS, _BATCH_S = 16, 120.0
"""The most segments, and seconds with padding, in one pass of a network that pads exactly."""


class Aligner:
    """
    A loaded alignment model. For one call at a time.

    Args:
        offset_s: How much later a sound is than its label, as measured when the model was trained
            (`frame_offset_s` in its `longhand.json`).
    """

    def __init__(self, network: Network, *, offset_s: float = 0.0) -> None:
        self._network = network
        self._offset_s = offset_s

    def align(
        self,
        audio: AudioSource,
        segments: Sequence[Segment],
        options: AlignmentOptions,
        report: Callable[[float], None] = lambda fraction: None,
    ) -> list[Segment]:
        """
        Find out when words are said.

        A segment keeps its times if it cannot be aligned: the model can spell none of its
        characters, or its span is too short for all of them. If its words have no times, they are
        spread over it.

        Args:
            segments: In time order. Words keep their text and probability. If a segment has none,
                its text is split: at spaces, or into characters in languages without spaces.
            report: Called now and then with the fraction that is done; what it
                raises ends the work.

        Returns:
            New segments, one per input. Each begins and ends with its words. All times are finite,
            in order and within the audio.
        """
        phrases = make_phrases(segments, audio, self._network.alphabet, options)
        aligned = [without_alignment(phrase, options) for phrase in phrases]
        possible = [phrase for phrase in phrases if phrase.can_be_aligned]
        n_done = len(phrases) - len(possible)
        for batch in self._batches(possible):
            waveforms = [audio.read(phrase.start, phrase.end) for phrase in batch]
            for phrase, log_probs in zip(batch, self._network.log_probs(waveforms), strict=True):
                if _fits(phrase, log_probs):
                    aligned[phrase.number] = self._timed(phrase, log_probs, options)
            n_done += len(batch)
            report(n_done / len(phrases))
        return in_order(aligned, audio.duration_s, options.after_s or 0.0)

    def _batches(self, phrases: Sequence[Phrase]) -> Iterator[list[Phrase]]:
        if not self._network.pads_exactly:
            yield from ([phrase] for phrase in phrases)
            return
        batch: list[Phrase] = []
        for phrase in sorted(phrases, key=lambda phrase: phrase.n_samples):
            longest_s = phrase.n_samples / SAMPLE_RATE_HZ
            is_full = len(batch) == _BATCH_SEGMENTS or (len(batch) + 1) * longest_s > _BATCH_S
            if batch and is_full:
                yield batch
                batch = []
            batch.append(phrase)
        if batch:
            yield batch

    def _timed(self, phrase: Phrase, log_probs: Tensor, options: AlignmentOptions) -> Segment:
        segment, (low, high) = phrase.segment, phrase.span_s
        labels = find_labels(log_probs, phrase.spelling.labels, self._network.alphabet)
        starts = [self._time_of(first, low, high) for first, _, _ in labels]
        found = []
        for start, (_, last, score), limit in zip(starts, labels, [*starts[1:], high], strict=True):
            end = min(self._time_of(last, low, high) + _HOLD_S, limit)
            found.append(Timing(start, max(start, end), score))
        interpolation = Interpolation(
            options.interpolate,
            segment.words or (),
            min(max(segment.start, low), high),
            min(max(segment.end, low), high),
        )
        return with_times(phrase, time_letters(phrase.spelling, found, interpolation), options)

    def _time_of(self, frame: int, low: float, high: float) -> float:
        seconds = low + frame * self._network.frame_s + self._offset_s
        return min(max(seconds, low), high)


def _fits(phrase: Phrase, log_probs: Tensor) -> bool:
    return phrase.spelling.n_frames <= len(log_probs) and bool(log_probs.isfinite().all())
