"""
pyannote.audio's diarization for audio on disk: it is read by span, and each chunk embedded once.

Imported only when a pipeline is opened: pyannote.audio takes seconds to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pyannote.audio.core.plda import PLDA
from pyannote.audio.pipelines.speaker_diarization import SpeakerDiarization
from pyannote.core import Segment, SlidingWindow, SlidingWindowFeature

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource
from worker.diarization.known_speakers import embed_recording
from worker.diarization.pyannote_chunks import (
    batches,
    fewest_frames,
    from_zero,
    laid_out,
    masks_of,
    most_alone,
    read_chunk,
)
from worker.diarization.pyannote_clustering import (
    Hook,
    Thinned,
    ThinnedAgglomerative,
    ThinnedVBx,
    no_hook,
)
from worker.models.diarization_files import VBX, part_folders

_CPU_BATCH = 8
_PARAMS = frozenset(
    {
        "clustering",
        "embedding_batch_size",
        "embedding_exclude_overlap",
        "segmentation_batch_size",
        "segmentation_step",
    }
)
"""The parameters that are taken from a pipeline's config. We find its parts ourselves."""


class NoPlda(PLDA):
    """A placeholder: pyannote.audio demands a PLDA even if the clustering uses none."""

    def __init__(self) -> None:
        """Nothing is read."""


class _SpanAudio:
    """Reads chunks for pyannote.audio's own embedding."""

    def crop(
        self, file: Mapping[str, Any], chunk: Segment, mode: str = "pad"
    ) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(read_chunk(file["source"], chunk)), SAMPLE_RATE_HZ


class SpanDiarization(SpeakerDiarization):
    """
    `SpeakerDiarization` for `{"uri": …, "source": AudioSource}`, with the same results.

    It takes less memory and time: only one batch of chunks is in memory, a segmentation takes one
    byte for each frame and speaker, and the part of an embedding that is the same for all speakers
    is computed once a chunk.
    """

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self._audio = _SpanAudio()
        if self.klustering == VBX:
            self.clustering = ThinnedVBx(self._plda, metric=self._embedding.metric)
        elif self.klustering == "AgglomerativeClustering":
            self.clustering = ThinnedAgglomerative(metric=self._embedding.metric)

    def apply(self, file: Mapping[str, Any], hook: Hook | None = None, **kwargs: Any) -> Any:
        """Diarize; `hook` is called for the steps of clustering, too."""
        if isinstance(self.clustering, Thinned):
            self.clustering.hook = hook or no_hook
        return super().apply(file, hook=hook, **kwargs)

    def get_segmentations(
        self, file: Mapping[str, Any], hook: Hook | None = None
    ) -> SlidingWindowFeature:
        """Return (n_chunks, n_frames, n_speakers): who speaks in each of the overlapping chunks."""
        audio: AudioSource = file["source"]
        inference = self._segmentation
        window = SlidingWindow(start=0.0, duration=inference.duration, step=inference.step)
        length, step = (round(s * SAMPLE_RATE_HZ) for s in (inference.duration, inference.step))
        n = len(range(0, max(1, audio.n_samples - length + step), step))
        found = []
        for batch in batches(range(n), inference.batch_size):
            chunks = np.stack([read_chunk(audio, window[i]) for i in batch])
            scores = inference.infer(torch.from_numpy(chunks))
            found.append(scores.astype(np.uint8) if self._is_binary else scores)
            if hook is not None:
                hook("segmentation", None, total=n, completed=batch[-1] + 1)
        return SlidingWindowFeature(np.vstack(found), window)

    @property
    def _is_binary(self) -> bool:
        """Whether the network gives who speaks, not probabilities."""
        return bool(self._segmentation.model.specifications.powerset)

    @property
    def has_trunk(self) -> bool:
        """Whether the embedding has two steps, of which the first is the same for all speakers."""
        model = getattr(self._embedding, "model_", None)
        return hasattr(model, "forward_frames") and hasattr(model, "forward_embedding")

    def get_embeddings(
        self,
        file: Mapping[str, Any],
        binary_segmentations: SlidingWindowFeature,
        exclude_overlap: bool = False,
        hook: Hook | None = None,
    ) -> NDArray[Any]:
        """Return (n_chunks, n_speakers, dimension): an embedding of each voice of each chunk."""
        if not self.has_trunk:
            return super().get_embeddings(file, binary_segmentations, exclude_overlap, hook)
        data, window = binary_segmentations.data, binary_segmentations.sliding_window
        needed = self._embedding.min_num_samples if exclude_overlap else 0
        least = fewest_frames(binary_segmentations, needed)
        found = []
        for batch in batches(range(len(data)), self.embedding_batch_size):
            masks = np.stack([masks_of(data[i], exclude_overlap, least) for i in batch])
            # Chunks in which nobody speaks are left out: their masks are empty.
            spoken = np.flatnonzero(masks.any(axis=(1, 2)))
            spoken = spoken if len(spoken) else np.array([0])
            chunks = np.stack([read_chunk(file["source"], window[batch[i]]) for i in spoken])
            rows = np.zeros(len(batch), np.int64)
            rows[spoken] = np.arange(len(spoken))
            found.append(self._embed(chunks, rows, masks))
            if hook is not None:
                hook("embeddings", None, total=len(data), completed=batch[-1] + 1)
        return np.vstack(found)

    def _embed(
        self, chunks: NDArray[np.float32], rows: NDArray[np.int64], masks: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """
        Embed every speaker of a batch of chunks.

        Args:
            chunks: (n, 1, n_samples), those in which somebody speaks.
            rows: (batch,), the row in `chunks` of each of the batch; any row if nobody speaks.
            masks: (batch, n_speakers, n_frames), when each speaker talks.

        Returns:
            (batch, n_speakers, dimension).
        """
        model, device = self._embedding.model_, self._embedding.device
        n_speakers, size = masks.shape[1], self.embedding_batch_size
        weights = torch.from_numpy(masks).flatten(0, 1).to(device)
        pairs = torch.from_numpy(np.repeat(rows, n_speakers)).to(device)
        with torch.inference_mode():
            frames = model.forward_frames(torch.from_numpy(chunks).to(device))
            # As many at a time as in pyannote.audio: the last bits of a matrix product depend on
            # the number of its rows.
            found = [
                model.forward_embedding(frames[pairs[i : i + size]], weights[i : i + size])
                for i in range(0, len(pairs), size)
            ]
        return torch.cat(found).cpu().numpy().reshape(len(rows), n_speakers, -1)

    def embed_voice(self, audio: AudioSource) -> tuple[NDArray[np.float32] | None, float]:
        """
        Embed the voice that speaks most in a recording.

        Returns:
            The embedding, None if nobody speaks, and for how many seconds it speaks alone.
        """
        return embed_recording(audio, self._segmentation.duration, self._embed_chunk)

    def _embed_chunk(
        self, samples: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32] | None, float]:
        """The same for at most one chunk, (n_samples,)."""
        length = round(self._segmentation.duration * SAMPLE_RATE_HZ)
        chunk = np.pad(samples, (0, length - len(samples)))[None, None]
        scores = self._segmentation.infer(torch.from_numpy(chunk))[0]
        active = scores > (0.5 if self._is_binary else self.segmentation.threshold)
        alone = most_alone(active, len(samples) / length)
        seconds = float(alone.mean()) * len(samples) / SAMPLE_RATE_HZ if len(alone) else 0.0
        if not seconds or len(samples) < self._embedding.min_num_samples:
            return None, seconds
        # Without padding: silence after a short recording would shift the means of its features.
        waveform = torch.from_numpy(samples)[None, None]
        return self._embedding(waveform, masks=torch.from_numpy(alone)[None])[0], seconds

    @staticmethod
    def speaker_count(
        binarized_segmentations: SlidingWindowFeature,
        frames: SlidingWindow,
        warm_up: tuple[float, float] = (0.0, 0.0),
    ) -> SlidingWindowFeature:
        """Return (n_frames, 1), how many speak at once."""
        assert warm_up == (0.0, 0.0)
        total, starts = laid_out(binarized_segmentations, frames)
        active, seen = np.zeros((total.stop, 1), np.float32), np.zeros((total.stop, 1), np.float32)
        for start, scores in zip(starts, binarized_segmentations.data, strict=True):
            span = slice(start, start + len(scores))
            active[span] += np.nan_to_num(scores).sum(axis=1, keepdims=True)
            seen[span] += 1
        count = np.rint(active / np.maximum(seen, 1e-12)).astype(np.uint8)
        return SlidingWindowFeature(count, from_zero(binarized_segmentations, frames))

    def reconstruct(
        self,
        segmentations: SlidingWindowFeature,
        hard_clusters: NDArray[Any],
        count: SlidingWindowFeature,
    ) -> SlidingWindowFeature:
        """Return (n_frames, n_speakers), who speaks in the whole audio."""
        frames = count.sliding_window
        total, starts = laid_out(segmentations, frames)
        n_clusters = max(int(hard_clusters.max()) + 1, int(count.data.max()))
        activations = np.zeros((total.stop, n_clusters), np.float32)
        for start, scores, clusters in zip(starts, segmentations.data, hard_clusters, strict=True):
            for cluster in set(clusters.tolist()) - {-2}:
                span = slice(start, start + len(scores))
                activations[span, cluster] += scores[:, clusters == cluster].max(axis=1)
        order = np.argsort(-activations, axis=-1)
        speaks = np.arange(n_clusters) < count.data
        binary = np.zeros_like(activations)
        np.put_along_axis(binary, order, speaks.astype(np.float32), axis=1)
        return SlidingWindowFeature(binary, frames)


def load_pipeline(
    folder: Path,
    config: Mapping[str, Any],
    *,
    kind: type[SpanDiarization] = SpanDiarization,
    device: str = "cpu",
) -> SpanDiarization:
    """
    Load a pipeline from its folder, without any network.

    Its checkpoints are pickles, which may run any code: the folder must be trusted.

    Args:
        config: The content of the folder's `config.yaml`.
    """
    given = config["pipeline"].get("params", {})
    params = {key: value for key, value in given.items() if key in _PARAMS}
    params["plda"] = NoPlda()
    for part, inside in part_folders(config).items():
        params[part] = {"checkpoint": str(folder / inside)}
    pipeline = kind(**params)
    pipeline.instantiate(config.get("params") or pipeline.default_parameters())
    if device == "cpu":  # larger batches only take more memory
        pipeline.segmentation_batch_size = min(pipeline.segmentation_batch_size, _CPU_BATCH)
        pipeline.embedding_batch_size = min(pipeline.embedding_batch_size, _CPU_BATCH)
    pipeline.to(torch.device(device))
    return pipeline
