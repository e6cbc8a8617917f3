"""Who speaks when, without torch and without a token: two networks on onnxruntime, and numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.errors import EngineFailed
from shared.transcript import SpeakerTurn, Warned
from worker.audio.source import AudioSource
from worker.diarization.clustering import Thresholds, find_windows
from worker.diarization.decoding import Weights, who_speaks
from worker.diarization.hearing import STEP_FRAMES, Heard, hear
from worker.diarization.known_speakers import match_speakers
from worker.diarization.segmentation import CHUNK, Segmentation, voices
from worker.diarization.timeline import CHUNK_STEP, FRAME_S, Timeline, n_chunks, spans_of
from worker.diarization.values import (
    LEAST_REFERENCE_S,
    Diarization,
    DiarizationOptions,
    count_warnings,
    unusable_reference,
)
from worker.diarization.voiceprints import VoicePrints
from worker.diarization.voices_found import apart, heard_at_once, most_voices
from worker.diarization.weights import WeightsUnreadable, read_weights
from worker.models.diarization_files import SEGMENTATION_FILE, VOICES_FILE

_BATCH = 8
"""Chunks in one pass of the segmentation; more are no faster on a CPU."""

_SEGMENTED, _HEARD, _CLUSTERED = 0.6, 0.9, 0.95
"""Fractions of the work that are done after each part of it."""

_SHORTER_WINDOW_S, _LESS_CLEAN = 1.0, 0.6
"""Windows, and the share of clean speech in them, where nobody speaks alone for longer."""

_FEW_CHUNKS = 10
"""Of a recording that has no more, under 20 s, what a chunk hears apart is believed."""


_THRESHOLDS, _WEIGHTS = Thresholds(), Weights()


@dataclass(frozen=True, eq=False)
class _Found:
    """What is known of one recording; `voices` are (n_voices, 192)."""

    who: NDArray[np.bool_]
    holds: NDArray[np.int64]
    voices: NDArray[np.float32]


class LightDiarizer:
    """
    Two loaded networks. For one call at a time.

    Args:
        thresholds: When voices are one.
        weights: How evidence of who speaks is weighed.
    """

    def __init__(
        self,
        segmentation: Segmentation,
        prints: VoicePrints,
        thresholds: Thresholds = _THRESHOLDS,
        weights: Weights = _WEIGHTS,
    ) -> None:
        self.segmentation = segmentation
        self.prints = prints
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
        prints = {labels[i]: print_ for i, print_ in enumerate(found.voices) if i in labels}
        names, warned = self._match(prints, options)
        called = {i: names.get(label, label) for i, label in labels.items()}
        exclusive = found.holds[:, None] == np.arange(len(found.voices))
        report(1.0)
        return Diarization(
            _turns(found.who, called, audio.duration_s),
            _turns(exclusive, called, audio.duration_s),
            {names.get(label, label): tuple(map(float, vector)) for label, vector in prints.items()}
            if options.wants_embeddings
            else {},
            (*count_warnings(len(labels), options), *warned),
        )

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
        heard, voices = self._hear(audio, timeline, thresholds, (fewest, most), report)
        if not len(voices):
            return _nobody(timeline)
        who, holds = who_speaks(timeline, heard, voices, self._weights)
        report(0.98)
        return _Found(who, holds, _settled(heard, timeline, holds, voices))

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

    def _hear(
        self,
        audio: AudioSource,
        timeline: Timeline,
        thresholds: Thresholds,
        count: tuple[int, int],
        report: Callable[[float], None],
    ) -> tuple[Heard, NDArray[np.float32]]:
        """
        Take voiceprints, and tell how many voices there are.

        Where fewer are found than were heard within one chunk, shorter windows are tried:
        somebody may never speak alone for as long as a window. Of a short recording, the voices
        of one chunk are taken for what they are.
        """
        tries = [thresholds]
        tries.append(replace(thresholds, window_s=_SHORTER_WINDOW_S, clean=_LESS_CLEAN))
        windows = [find_windows(timeline, each) for each in tries]
        spans = np.concatenate([each.spans for each in windows])
        order = np.argsort(spans[:, 0], kind="stable")
        heard = self._take_prints(
            audio,
            timeline,
            [(int(start), int(end)) for start, end in spans[order]],
            lambda fraction: report(_SEGMENTED + (_HEARD - _SEGMENTED) * fraction),
        )
        prints = np.empty_like(heard.windows)
        prints[order] = heard.windows
        parts = np.split(prints, np.cumsum([len(each.spans) for each in windows])[:-1])
        at_once = heard_at_once(timeline)
        at_least = max(count[0], min(count[1], int(at_once.sum(axis=-1).max())))
        best = most_voices(
            parts,
            windows,
            tries,
            (at_least, *count),
            lambda fraction: report(_HEARD + (_CLUSTERED - _HEARD) * fraction),
        )
        if len(best) < at_least and len(timeline.voices) <= _FEW_CHUNKS:
            told = apart(heard.tracks, at_once, thresholds.alike_though_apart)[: count[1]]
            best = told if len(told) > len(best) else best
        return heard, best

    def _take_prints(
        self,
        audio: AudioSource,
        timeline: Timeline,
        spans: Sequence[tuple[int, int]],
        report: Callable[[float], None],
    ) -> Heard:
        return hear(audio, timeline, spans, self.prints, report)

    def _match(
        self, prints: Mapping[str, NDArray[np.float32]], options: DiarizationOptions
    ) -> tuple[dict[str, str], list[Warned]]:
        """Which found speakers are known ones, and whose reference says nothing."""
        known, warned = [], []
        for speaker in options.known_speakers:
            vector, seconds = self.embed_voice(speaker.audio)
            if vector is None or seconds < LEAST_REFERENCE_S:
                warned.append(unusable_reference(speaker.name, seconds))
            else:
                known.append((speaker.name, vector))
        return match_speakers(prints, known), warned

    def embed_voice(self, audio: AudioSource) -> tuple[NDArray[np.float32] | None, float]:
        """
        Take the voiceprint of the one who speaks most in a recording; all of it is heard.

        Returns:
            (192,), None where nobody is heard, and for how many seconds they speak alone.
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


def _nobody(timeline: Timeline) -> _Found:
    n = len(timeline.counts)
    return _Found(np.zeros((n, 0), bool), np.full(n, -1), np.empty((0, 192), np.float32))


def _settled(
    heard: Heard, timeline: Timeline, holds: NDArray[np.int64], voices: NDArray[np.float32]
) -> NDArray[np.float32]:
    """What each voice sounds like where it was found to speak alone."""
    middles = np.minimum(np.arange(0, len(holds), STEP_FRAMES) + STEP_FRAMES // 2, len(holds) - 1)
    holder = np.where(timeline.counts[middles] == 1, holds[middles], -1)
    found = voices.copy()
    for i in range(len(voices)):
        mean = heard.places[holder == i].astype(np.float32).sum(axis=0)
        if mean.any():
            found[i] = mean / np.linalg.norm(mean)
    return found


def _in_order(who: NDArray[np.bool_]) -> dict[int, str]:
    """`SPEAKER_NN` for each that speaks, by first appearance."""
    speak = [i for i in range(who.shape[1]) if who[:, i].any()]
    first = sorted(speak, key=lambda i: int(who[:, i].argmax()))
    return {speaker: f"SPEAKER_{n:02d}" for n, speaker in enumerate(first)}


def _turns(
    who: NDArray[np.bool_], called: Mapping[int, str], duration_s: float
) -> tuple[SpeakerTurn, ...]:
    """To the millisecond, within the audio."""
    spans = (
        (i, round(a, 3), min(round(b, 3), duration_s)) for i, a, b in spans_of(who, duration_s)
    )
    return tuple(SpeakerTurn(speaker=called[i], start=a, end=b) for i, a, b in spans if b > a)


def open_light(folder: Path, *, threads: int) -> LightDiarizer:
    """
    Load the networks of a folder.

    Raises:
        EngineFailed: Their weights cannot be read.
    """
    try:
        segmentation = read_weights(folder / SEGMENTATION_FILE)
        segmentation = segmentation.get("state_dict", segmentation)
        prints = read_weights(folder / VOICES_FILE)
        return LightDiarizer(Segmentation(segmentation, threads), VoicePrints(prints, threads))
    except (WeightsUnreadable, KeyError) as error:
        raise EngineFailed(
            f"diarization model {folder.name!r} cannot be read ({error}); `./longhand models "
            f"remove {folder.name}` and `pull` fetch it anew"
        ) from error
