"""
The diarizer without torch and without a token: two networks on onnxruntime, and numpy.

Diarization error by `make eval` (docs/models.md has the table): 6.0 % on a telephone dialogue and
13.6 % on quick turns, where pyannote.audio's pipeline with the same weights has 5.6 % and 36.1 %.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.errors import EngineFailed
from shared.transcript import SpeakerTurn
from worker.audio.source import AudioSource
from worker.diarization.clustering import Thresholds, find_windows
from worker.diarization.embedding import DIMENSION, EmbeddingNetwork
from worker.diarization.embedding_extraction import STEP_FRAMES, Embeddings, extract_embeddings
from worker.diarization.known_speakers import name_speakers
from worker.diarization.resegmentation import Weights, resegment
from worker.diarization.segmentation import CHUNK, Segmentation, voices
from worker.diarization.speaker_count import distinct_voices, find_most_voices, voices_per_chunk
from worker.diarization.timeline import CHUNK_STEP, FRAME_S, Timeline, n_chunks, spans_of
from worker.diarization.values import Diarization, DiarizationOptions, count_warnings
from worker.diarization.weights import WeightsUnreadable, read_weights
from worker.models.diarization_files import SEGMENTATION_FILE, VOICES_FILE

_BATCH = 8
"""Chunks in one pass of the segmentation. More are no faster on a CPU."""

_SEGMENTED, _EMBEDDED, _CLUSTERED = 0.6, 0.9, 0.95
"""The fraction of the work that is done after each step."""

_SHORTER_WINDOW_S, _LESS_CLEAN = 1.0, 0.6
"""The windows of a second try, and the share of clean speech in them, for recordings in which
somebody never speaks alone for longer."""

_FEW_CHUNKS = 10
"""In a recording with at most so many chunks, under 20 s, the voices of one chunk may be used."""

_THRESHOLDS, _WEIGHTS = Thresholds(), Weights()


@dataclass(frozen=True, eq=False)
class _Found:
    """
    Who speaks in a recording.

    Attributes:
        who: (n_frames, n_voices), who speaks.
        main: (n_frames,), the main speaker, -1 if nobody speaks.
        voices: (n_voices, 192), the embedding of each voice.
    """

    who: NDArray[np.bool_]
    main: NDArray[np.int64]
    voices: NDArray[np.float32]


class OnnxDiarizer:
    """
    A segmentation and an embedding network. For one call at a time.

    Args:
        thresholds: When two voices count as one.
        weights: How evidence of who speaks is weighed.
    """

    def __init__(
        self,
        segmentation: Segmentation,
        embedding: EmbeddingNetwork,
        thresholds: Thresholds = _THRESHOLDS,
        weights: Weights = _WEIGHTS,
    ) -> None:
        self.segmentation = segmentation
        self.embedding = embedding
        self._thresholds = thresholds
        self._weights = weights

    def find_turns(
        self,
        audio: AudioSource,
        options: DiarizationOptions,
        report: Callable[[float], None] = lambda fraction: None,
    ) -> Diarization:
        """See `Diarizer.find_turns`."""
        if not audio.n_samples:
            return Diarization()
        found = self._find(audio, options, report)
        labels = _in_order(found.who)
        embeddings = {labels[i]: voice for i, voice in enumerate(found.voices) if i in labels}
        names, warned = name_speakers(embeddings, options.known_speakers, self.embed_voice)
        called = {i: names.get(label, label) for i, label in labels.items()}
        exclusive = found.main[:, None] == np.arange(len(found.voices))
        wanted = embeddings if options.wants_embeddings else {}
        report(1.0)
        return Diarization(
            _turns(found.who, called, audio.duration_s),
            _turns(exclusive, called, audio.duration_s),
            {names.get(label, label): tuple(map(float, voice)) for label, voice in wanted.items()},
            (*count_warnings(len(labels), options), *warned),
        )

    def embed_voice(self, audio: AudioSource) -> tuple[NDArray[np.float32] | None, float]:
        """
        Embed the voice that speaks most in a recording.

        Returns:
            (192,), None if nobody speaks, and for how many seconds it speaks alone.
        """
        if not audio.n_samples:
            return None, 0.0
        found = self._find(audio, DiarizationOptions(), lambda fraction: None)
        if not len(found.voices):
            return None, 0.0
        alone = found.who & (found.who.sum(axis=1, keepdims=True) == 1)
        n_frames = alone.sum(axis=0)
        most = int(n_frames.argmax())
        return found.voices[most], float(n_frames[most]) * FRAME_S

    def _find(
        self, audio: AudioSource, options: DiarizationOptions, report: Callable[[float], None]
    ) -> _Found:
        timeline = self._segment(audio, lambda fraction: report(_SEGMENTED * fraction))
        if not timeline.counts.any():
            return _nobody(timeline)
        thresholds = self._thresholds
        if options.clustering_threshold is not None:
            thresholds = thresholds.far_apart(options.clustering_threshold)
        fewest = options.num_speakers or options.min_speakers or 1
        most = options.num_speakers or options.max_speakers or 1000
        embeddings, voices = self._find_voices(audio, timeline, thresholds, (fewest, most), report)
        if not len(voices):
            return _nobody(timeline)
        who, main = resegment(timeline, embeddings, voices, self._weights)
        report(0.98)
        return _Found(who, main, _refined(embeddings, timeline, main, voices))

    def _segment(self, audio: AudioSource, report: Callable[[float], None]) -> Timeline:
        found, total = [], n_chunks(audio.n_samples)
        for first in range(0, total, _BATCH):
            starts = range(first * CHUNK_STEP, min(total, first + _BATCH) * CHUNK_STEP, CHUNK_STEP)
            samples = audio.read(starts[0], starts[-1] + CHUNK)
            samples = np.pad(samples, (0, starts[-1] + CHUNK - starts[0] - len(samples)))
            chunks = np.stack([samples[s - starts[0] : s - starts[0] + CHUNK] for s in starts])
            found.append(voices(self.segmentation.listen(chunks)))
            report(min(total, first + _BATCH) / total)
        return Timeline.of(np.concatenate(found), audio.n_samples)

    def _find_voices(
        self,
        audio: AudioSource,
        timeline: Timeline,
        thresholds: Thresholds,
        count: tuple[int, int],
        report: Callable[[float], None],
    ) -> tuple[Embeddings, NDArray[np.float32]]:
        """
        Extract embeddings, and find out how many voices there are.

        If fewer are found than speak within one chunk, shorter windows are tried: somebody may
        never speak alone for as long as a window. If there are still too few in a short recording,
        the voices of one chunk are used.
        """
        shorter = replace(thresholds, window_s=_SHORTER_WINDOW_S, clean=_LESS_CLEAN)
        tries = [thresholds, shorter]
        windows = [find_windows(timeline, each) for each in tries]
        spans = np.concatenate([each.spans for each in windows])
        order = np.argsort(spans[:, 0], kind="stable")
        found = self._extract(
            audio,
            timeline,
            [(int(start), int(end)) for start, end in spans[order]],
            lambda fraction: report(_SEGMENTED + (_EMBEDDED - _SEGMENTED) * fraction),
        )
        embeddings = np.empty_like(found.windows)
        embeddings[order] = found.windows
        per_chunk = voices_per_chunk(timeline)
        enough = max(count[0], min(count[1], int(per_chunk.sum(axis=-1).max())))
        best = find_most_voices(
            np.split(embeddings, [len(windows[0].spans)]),
            windows,
            tries,
            (enough, *count),
            lambda fraction: report(_EMBEDDED + (_CLUSTERED - _EMBEDDED) * fraction),
        )
        if len(best) < enough and len(timeline.voices) <= _FEW_CHUNKS:
            distinct = distinct_voices(
                found.chunk_voices, per_chunk, thresholds.alike_though_apart
            )[: count[1]]
            best = distinct if len(distinct) > len(best) else best
        return found, best

    def _extract(
        self,
        audio: AudioSource,
        timeline: Timeline,
        spans: Sequence[tuple[int, int]],
        report: Callable[[float], None],
    ) -> Embeddings:
        return extract_embeddings(audio, timeline, spans, self.embedding, report)


def _nobody(timeline: Timeline) -> _Found:
    n = len(timeline.counts)
    return _Found(np.zeros((n, 0), bool), np.full(n, -1), np.empty((0, DIMENSION), np.float32))


def _refined(
    embeddings: Embeddings,
    timeline: Timeline,
    main: NDArray[np.int64],
    voices: NDArray[np.float32],
) -> NDArray[np.float32]:
    """The embedding of each voice, taken where it was found to speak alone."""
    middles = np.minimum(np.arange(0, len(main), STEP_FRAMES) + STEP_FRAMES // 2, len(main) - 1)
    speaker = np.where(timeline.counts[middles] == 1, main[middles], -1)
    found = voices.copy()
    for i in range(len(voices)):
        mean = embeddings.places[speaker == i].astype(np.float32).sum(axis=0)
        if mean.any():
            found[i] = mean / np.linalg.norm(mean)
    return found


def _in_order(who: NDArray[np.bool_]) -> dict[int, str]:
    """`SPEAKER_NN` for each voice that speaks, in the order of appearance."""
    speak = [i for i in range(who.shape[1]) if who[:, i].any()]
    first = sorted(speak, key=lambda i: int(who[:, i].argmax()))
    return {speaker: f"SPEAKER_{n:02d}" for n, speaker in enumerate(first)}


def _turns(
    who: NDArray[np.bool_], called: Mapping[int, str], duration_s: float
) -> tuple[SpeakerTurn, ...]:
    """Turns within the audio, rounded to milliseconds."""
    spans = (
        (i, round(a, 3), min(round(b, 3), duration_s)) for i, a, b in spans_of(who, duration_s)
    )
    return tuple(SpeakerTurn(speaker=called[i], start=a, end=b) for i, a, b in spans if b > a)


def open_onnx_diarizer(folder: Path, *, threads: int) -> OnnxDiarizer:
    """
    Load the networks of a folder.

    Raises:
        EngineFailed: Their weights cannot be read.
    """
    try:
        segmentation = read_weights(folder / SEGMENTATION_FILE)
        segmentation = segmentation.get("state_dict", segmentation)
        embedding = read_weights(folder / VOICES_FILE)
        return OnnxDiarizer(
            Segmentation(segmentation, threads), EmbeddingNetwork(embedding, threads)
        )
    except (WeightsUnreadable, KeyError) as error:
        raise EngineFailed(
            f"diarization model {folder.name!r} cannot be read ({error}); `./longhand models "
            f"rm {folder.name}` and `pull` fetch it anew"
        ) from error
