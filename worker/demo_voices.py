"""The networks of the demo diarization pipeline, found by the names in their checkpoints."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from pyannote.audio.core.model import Model
from pyannote.audio.models.blocks.pooling import StatsPool
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram

from worker.audio.constants import HOP_LENGTH, SAMPLE_RATE_HZ

_MELS = 40
_CHANNELS = 96
_DIMENSION = 64
_HIDDEN = 64
_WINDOW = 51  # frames over which the statistics of a voice are taken
_SHORTEST = 3200  # samples; pyannote.audio finds out by trying how few a model takes
_LAYERS = ((5, 1), (3, 2), (3, 3), (1, 1))  # (kernel, dilation) of each convolution


class DemoSpeakerEmbedding(Model):
    """
    Log-mel frames, a small time-delay network, weighted statistics, one linear layer.

    Everything before the statistics (`forward_frames`) is the same for all speakers of a chunk.
    Only what comes after (`forward_embedding`) depends on whose voice is embedded.
    """

    def __init__(
        self,
        sample_rate: int = SAMPLE_RATE_HZ,
        num_channels: int = 1,
        task: Any = None,
    ) -> None:
        super().__init__(sample_rate=sample_rate, num_channels=num_channels, task=task)
        self.mel = MelSpectrogram(
            sample_rate=sample_rate,
            n_fft=512,
            win_length=400,
            hop_length=HOP_LENGTH,
            n_mels=_MELS,
            f_min=40,
            f_max=7600,
            power=2.0,
        )
        layers: list[nn.Module] = []
        width = _MELS
        for kernel, dilation in _LAYERS:
            padding = (kernel - 1) // 2 * dilation
            layers += [
                nn.Conv1d(width, _CHANNELS, kernel, dilation=dilation, padding=padding),
                nn.LeakyReLU(),
                nn.BatchNorm1d(_CHANNELS),
            ]
            width = _CHANNELS
        self.tdnn = nn.Sequential(*layers)
        self.stats_pool = StatsPool()
        self.embedding = nn.Linear(2 * _CHANNELS, _DIMENSION)

    @property
    def dimension(self) -> int:
        """Length of an embedding."""
        return _DIMENSION

    @lru_cache  # noqa: B019  # as every model of pyannote.audio has it
    def num_frames(self, num_samples: int) -> int:
        """The number of frames of so many samples."""
        return 1 + num_samples // HOP_LENGTH

    def receptive_field_size(self, num_frames: int = 1) -> int:
        """How many samples so many frames depend on."""
        context = sum((kernel - 1) * dilation for kernel, dilation in _LAYERS)
        return 512 + (num_frames - 1 + context) * HOP_LENGTH

    def receptive_field_center(self, frame: int = 0) -> int:
        """The sample in the middle of those that a frame depends on."""
        return frame * HOP_LENGTH

    def forward(self, waveforms: Tensor, weights: Tensor | None = None) -> Tensor:
        """
        Embed waveforms, each frame counted by its weight.

        Args:
            waveforms: (batch, 1, n_samples) float32.
            weights: (batch, n_frames) or (batch, n_speakers, n_frames).

        Returns:
            (batch, dimension) or (batch, n_speakers, dimension).
        """
        return self.forward_embedding(self.forward_frames(waveforms), weights)

    def forward_frames(self, waveforms: Tensor) -> Tensor:
        """Return (batch, channels, n_frames), the same for every speaker."""
        if waveforms.shape[-1] < _SHORTEST:
            raise RuntimeError(f"an embedding needs at least {_SHORTEST} samples")
        log_mel = torch.log(self.mel(waveforms).squeeze(1) + 1e-6)
        return self.tdnn((log_mel + 4.0) / 4.0)

    def forward_embedding(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """Pool frames by weights and embed the statistics; shapes as in `forward`."""
        return self.embedding(self.stats_pool(frames, weights=weights))


class DemoSegmentation(Model):
    """
    Which of three speakers talk when, in a chunk of ten seconds.

    The first layers are those of the embedding and tell voices apart over half a second. The LSTM
    reads how similar each frame is to three voices that were found in the chunk.
    """

    def __init__(
        self,
        sample_rate: int = SAMPLE_RATE_HZ,
        num_channels: int = 1,
        task: Any = None,
    ) -> None:
        super().__init__(sample_rate=sample_rate, num_channels=num_channels, task=task)
        front = DemoSpeakerEmbedding(sample_rate, num_channels)
        self.mel, self.tdnn, self.embedding = front.mel, front.tdnn, front.embedding
        self.reduce = nn.Linear(_CHANNELS + _MELS, 32)
        self.ereduce = nn.Linear(_DIMENSION, 16)
        self.lstm = nn.LSTM(16 + 32 + 7, _HIDDEN, 2, bidirectional=True, batch_first=True)
        self.linear = nn.Linear(2 * _HIDDEN, _HIDDEN)

    @property
    def dimension(self) -> int:
        """The number of sets of speakers."""
        return int(self.specifications.num_powerset_classes)

    def build(self) -> None:
        """Add the layers that depend on the specifications; pyannote.audio calls it."""
        self.classifier = nn.Linear(_HIDDEN, self.dimension)
        self.activation = self.default_activation()

    @lru_cache  # noqa: B019  # as every model of pyannote.audio has it
    def num_frames(self, num_samples: int) -> int:
        """The number of frames, of 20 ms, of so many samples."""
        return (1 + num_samples // HOP_LENGTH) // 2

    # pyannote.audio always puts frame 0 at the start of the chunk. A receptive field with its
    # context would therefore shift every boundary.
    def receptive_field_size(self, num_frames: int = 1) -> int:
        """How many samples so many frames stand for."""
        return num_frames * 2 * HOP_LENGTH

    def receptive_field_center(self, frame: int = 0) -> int:
        """The sample in the middle of those that a frame stands for."""
        return HOP_LENGTH + frame * 2 * HOP_LENGTH

    def forward(self, waveforms: Tensor) -> Tensor:
        """
        Classify every frame.

        Args:
            waveforms: (batch, 1, n_samples) float32.

        Returns:
            (batch, n_frames, n_classes) log probabilities of the sets of speakers.
        """
        log_mel = (torch.log(self.mel(waveforms).squeeze(1) + 1e-6) + 4.0) / 4.0
        frames = self.tdnn(log_mel)
        n_frames = frames.shape[-1] // 2
        level = log_mel.mean(1, keepdim=True)
        # Weighted by loudness, so that pauses do not change the statistics of a voice.
        loud = torch.sigmoid(6 * (level - level.mean(-1, keepdim=True)))
        weight = self._pool(loud, n_frames) + 1e-4
        mean = self._pool(frames * loud, n_frames) / weight
        square = self._pool(frames * frames * loud, n_frames) / weight
        spread = (square - mean * mean).clamp_min(1e-5).sqrt()
        voices = self.embedding(torch.cat([mean, spread], 1).transpose(1, 2))
        voices = nn.functional.normalize(voices, dim=-1)
        near = nn.functional.avg_pool1d(torch.cat([frames, log_mel], 1), 2)[..., :n_frames]
        with torch.no_grad():
            likeness = _likeness(voices, (weight / weight.amax(-1, keepdim=True))[:, 0])
            likeness = torch.cat([likeness, self._pool(level, n_frames).transpose(1, 2)], -1)
        read, _ = self.lstm(
            torch.cat([self.ereduce(4 * voices), self.reduce(near.transpose(1, 2)), likeness], -1)
        )
        hidden = nn.functional.leaky_relu(self.linear(read))
        return self.activation(self.classifier(hidden))

    def _pool(self, frames: Tensor, n_frames: int) -> Tensor:
        """The mean over a window around every second frame."""
        pooled = nn.functional.avg_pool1d(
            frames, _WINDOW, stride=2, padding=_WINDOW // 2, count_include_pad=False
        )
        return pooled[..., :n_frames]


def _likeness(voices: Tensor, weight: Tensor, n_rounds: int = 6) -> Tensor:
    """
    The similarity of every frame to three voices in its chunk, in order of appearance.

    Args:
        voices: (batch, n_frames, dimension) unit vectors.
        weight: (batch, n_frames) loudness, 0 to 1.

    Returns:
        (batch, n_frames, 6): similarity to each voice, and of the voices to each other.
    """
    rows = torch.arange(len(voices), device=voices.device)
    quiet = (weight < 0.5) * 9.0
    found = [voices[rows, weight.argmax(1)]]
    for _ in range(2):  # each further voice is the frame least similar to those before
        nearest = torch.stack([torch.einsum("btd,bd->bt", voices, v) for v in found]).amax(0)
        found.append(voices[rows, (nearest + quiet).argmin(1)])
    centres = torch.stack(found, 1)
    for _ in range(n_rounds):
        alike = torch.einsum("btd,bkd->btk", voices, centres)
        share = nn.functional.one_hot(alike.argmax(-1), 3) * weight[..., None]
        moved = nn.functional.normalize(torch.einsum("btk,btd->bkd", share, voices), dim=-1)
        centres = torch.where(share.sum(1)[..., None] > 1, moved, centres)
    alike = torch.einsum("btd,bkd->btk", voices, centres)
    heard = nn.functional.one_hot(alike.argmax(-1), 3) * (weight > 0.5)[..., None]
    appeared = heard.cumsum(1) >= 5
    never = torch.full_like(alike[:, 0], 10**6, dtype=torch.long)
    order = torch.where(appeared.any(1), appeared.float().argmax(1), never).argsort(1)
    centres = torch.gather(centres, 1, order[..., None].expand_as(centres))
    alike = torch.gather(alike, 2, order[:, None].expand_as(alike))
    pairs = [(centres[:, a] * centres[:, b]).sum(-1) for a, b in ((0, 1), (0, 2), (1, 2))]
    between = torch.stack(pairs, -1)[:, None].expand(-1, alike.shape[1], -1)
    return 4 * torch.cat([alike, between], -1)
