"""Put segments on the time line: each is listened to by itself, within its own span."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from shared.errors import EngineFailed
from shared.transcript import Segment
from worker.alignment.network import Network, find_labels, open_network
from worker.alignment.order import in_order
from worker.alignment.phrases import AlignOptions, Phrase, as_it_was, make_phrases, written
from worker.alignment.times import Found, Guide, time_letters
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource
from worker.models.alignment_files import description_of
from worker.models.store import ModelStore

if TYPE_CHECKING:
    from torch import Tensor

_HOLD_S = 0.08
"""How long a sound may outlast its label, unless the next one comes first; not through a pause."""

_BATCH_SEGMENTS, _BATCH_S = 16, 120.0
"""Most segments, and most seconds with padding, in one pass of a network that pads exactly."""


class Aligner:
    """
    One loaded CTC model.

    Args:
        name, revision: What it is called, and what names its very weights.
        offset_s: How much later a sound is than its label, which whoever trained
            the model measured (`frame_offset_s` in its `longhand.json`).
    """

    def __init__(
        self, name: str, network: Network, *, revision: str = "", offset_s: float = 0.0
    ) -> None:
        self.name = name
        self.revision = revision
        self._network = network
        self._offset_s = offset_s

    def align(
        self,
        audio: AudioSource,
        segments: Sequence[Segment],
        options: AlignOptions,
        report: Callable[[float], None] = lambda fraction: None,
    ) -> list[Segment]:
        """
        Time words, and with them the segments, by what is heard.

        A segment keeps the times it came with where nothing can be aligned: none
        of its characters can be spelled, or its span is too short for so many.
        Words without times are spread over it then.

        Args:
            segments: In time order. Their words keep text and probability; where
                there are none, the text is split: at spaces, or into characters in
                languages without spaces.
            report: Called now and then with the fraction that is done; what it
                raises ends the work.

        Returns:
            New segments, one per input, each of which begins and ends with its
            words; all times are finite, in order and within the audio.
        """
        phrases = make_phrases(segments, audio, self._network.alphabet, options)
        aligned = [as_it_was(phrase, options) for phrase in phrases]
        possible = [phrase for phrase in phrases if phrase.can_be_found]
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

    def _timed(self, phrase: Phrase, log_probs: Tensor, options: AlignOptions) -> Segment:
        segment, (low, high) = phrase.segment, phrase.span_s
        labels = find_labels(log_probs, phrase.spelling.labels, self._network.alphabet)
        starts = [self._time_of(first, low, high) for first, _, _ in labels]
        found = []
        for start, (_, last, score), limit in zip(starts, labels, [*starts[1:], high], strict=True):
            end = min(self._time_of(last, low, high) + _HOLD_S, limit)
            found.append(Found(start, max(start, end), score))
        guide = Guide(
            options.interpolate,
            segment.words or (),
            min(max(segment.start, low), high),
            min(max(segment.end, low), high),
        )
        return written(phrase, time_letters(phrase.spelling, found, guide), options)

    def _time_of(self, frame: int, low: float, high: float) -> float:
        seconds = low + frame * self._network.frame_s + self._offset_s
        return min(max(seconds, low), high)


def open_aligner(name: str, store: ModelStore, *, device: str, threads: int = 1) -> Aligner:
    """
    Load an aligner that `aligner_name` named.

    Args:
        store: Where folders of models lie, and whether a missing one may be fetched.
        device: `cpu`, `cuda` or `cuda:N`.
        threads: Threads of torch, in the whole process.

    Raises:
        ModelNotFound: It is not here and cannot be fetched.
        EngineFailed: What is here cannot be loaded.
    """
    folder = store.locate("aligner", name)
    try:
        import torch

        torch.set_num_threads(threads)
        network = open_network(name, folder, device)
        about = description_of(folder)
    except ImportError as error:
        raise EngineFailed(
            f"aligning needs torch, torchaudio and transformers ({error}); install the extra "
            "`diarization` on this worker"
        ) from error
    except Exception as error:  # each form of weights has errors of its own
        raise EngineFailed(f"the aligner {name!r} cannot be loaded: {error}") from error
    offset_s = float(about.get("frame_offset_s", 0.0))
    return Aligner(name, network, revision=str(about.get("revision", "")), offset_s=offset_s)


def _fits(phrase: Phrase, log_probs: Tensor) -> bool:
    return phrase.spelling.n_frames <= len(log_probs) and bool(log_probs.isfinite().all())
