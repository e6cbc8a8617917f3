"""
pyannote.audio's diarization over audio on disk: read by span, each chunk embedded once.

Imported only where a pipeline is opened: pyannote.audio takes seconds to import.
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
from worker.diarization.known_speakers import hear_whole
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
    unheard,
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
"""What is taken over from a pipeline's config; its parts are found by ourselves."""


class NoPlda(PLDA):
    """Stands where a pipeline whose clustering uses none has to be given one."""

    def __init__(self) -> None:
        """Nothing is read."""


class _SpanAudio:
    """What pyannote.audio's own embedding reads its chunks with."""

    def crop(
        self, file: Mapping[str, Any], chunk: Segment, mode: str = "pad"
    ) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(read_chunk(file["source"], chunk)), SAMPLE_RATE_HZ


class SpanDiarization(SpeakerDiarization):
    """
    `SpeakerDiarization` for `{"uri": …, "source": AudioSource}`, with the same results.

    No more of the audio than a batch of chunks is in memory, a segmentation takes a
    byte a frame and speaker, and what an embedding computes before it looks at who
    speaks is computed once per chunk, not once per speaker in it.
    """

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self._audio = _SpanAudio()
        if self.klustering == VBX:
            self.clustering = ThinnedVBx(self._plda, metric=self._embedding.metric)
        elif self.klustering == "AgglomerativeClustering":
            self.clustering = ThinnedAgglomerative(metric=self._embedding.metric)

    def apply(self, file: Mapping[str, Any], hook: Hook | None = None, **kwargs: Any) -> Any:
        """Diarize; `hook` is told of clustering too."""
        if isinstance(self.clustering, Thinned):
            self.clustering.hook = hook or unheard
        return super().apply(file, hook=hook, **kwargs)

    def get_segmentations(
        self, file: Mapping[str, Any], hook: Hook | None = None
    ) -> SlidingWindowFeature:
        """Return (n_chunks, n_frames, n_speakers), who speaks in each overlapping chunk."""
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
        """Whether the network says who speaks, rather than how likely that is."""
        return bool(self._segmentation.model.specifications.powerset)

    @property
    def has_trunk(self) -> bool:
        """Whether the embedding can be computed in two steps, of which one is shared."""
        model = getattr(self._embedding, "model_", None)
        return hasattr(model, "forward_frames") and hasattr(model, "forward_embedding")

    def get_embeddings(
        self,
        file: Mapping[str, Any],
        binary_segmentations: SlidingWindowFeature,
        exclude_overlap: bool = False,
        hook: Hook | None = None,
    ) -> NDArray[Any]:
        """Return (n_chunks, n_speakers, dimension), a vector for each voice of each chunk."""
        if not self.has_trunk:
            return super().get_embeddings(file, binary_segmentations, exclude_overlap, hook)
        data, window = binary_segmentations.data, binary_segmentations.sliding_window
        needed = self._embedding.min_num_samples if exclude_overlap else 0
        least = fewest_frames(binary_segmentations, needed)
        found = []
        for batch in batches(range(len(data)), self.embedding_batch_size):
            masks = np.stack([masks_of(data[i], exclude_overlap, least) for i in batch])
            # Nothing is computed where nobody speaks: such a mask leaves nothing of any chunk.
            heard = np.flatnonzero(masks.any(axis=(1, 2)))
            heard = heard if len(heard) else np.array([0])
            chunks = np.stack([read_chunk(file["source"], window[batch[i]]) for i in heard])
            rows = np.zeros(len(batch), np.int64)
            rows[heard] = np.arange(len(heard))
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
            chunks: (n, 1, n_samples) those in which somebody speaks.
            rows: (batch,) which of them each of the batch is; any where nobody speaks.
            masks: (batch, n_speakers, n_frames) when each of them speaks.

        Returns:
            (batch, n_speakers, dimension).
        """
        model, device = self._embedding.model_, self._embedding.device
        n_speakers, size = masks.shape[1], self.embedding_batch_size
        weights = torch.from_numpy(masks).flatten(0, 1).to(device)
        pairs = torch.from_numpy(np.repeat(rows, n_speakers)).to(device)
        with torch.inference_mode():
            frames = model.forward_frames(torch.from_numpy(chunks).to(device))
            # As many at a time as pyannote.audio takes: the last bits of a matrix product
            # depend on how many rows it has.
            found = [
                model.forward_embedding(frames[pairs[i : i + size]], weights[i : i + size])
                for i in range(0, len(pairs), size)
            ]
        return torch.cat(found).cpu().numpy().reshape(len(rows), n_speakers, -1)

    def embed_voice(self, audio: AudioSource) -> tuple[NDArray[np.float32] | None, float]:
        """
        Embed the one who speaks most in a recording, all of which is heard.

        Returns:
            A vector, None where nobody is heard, and for how many seconds they speak alone.
        """
        return hear_whole(audio, self._segmentation.duration, self._hear)

    def _hear(self, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32] | None, float]:
        """The same of at most one chunk, (n_samples,)."""
        length = round(self._segmentation.duration * SAMPLE_RATE_HZ)
        chunk = np.pad(samples, (0, length - len(samples)))[None, None]
        scores = self._segmentation.infer(torch.from_numpy(chunk))[0]
        active = scores > (0.5 if self._is_binary else self.segmentation.threshold)
        alone = most_alone(active, len(samples) / length)
        seconds = float(alone.mean()) * len(samples) / SAMPLE_RATE_HZ if len(alone) else 0.0
        if not seconds or len(samples) < self._embedding.min_num_samples:
            return None, seconds
        # Unpadded: silence behind a short recording would shift what its frames are centred on.
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
    Load a pipeline whose parts all lie in its folder, without asking any network.

    Its checkpoints are pickles, which may run what they like: the folder must be trusted.

    Args:
        config: What the folder's `config.yaml` says.
    """
    given = config["pipeline"].get("params", {})
    params = {key: value for key, value in given.items() if key in _PARAMS}
    params["plda"] = NoPlda()
    for part, inside in part_folders(config).items():
        params[part] = {"checkpoint": str(folder / inside)}
    pipeline = kind(**params)
    pipeline.instantiate(config.get("params") or pipeline.default_parameters())
    if device == "cpu":  # more at once only takes more memory
        pipeline.segmentation_batch_size = min(pipeline.segmentation_batch_size, _CPU_BATCH)
        pipeline.embedding_batch_size = min(pipeline.embedding_batch_size, _CPU_BATCH)
    pipeline.to(torch.device(device))
    return pipeline
