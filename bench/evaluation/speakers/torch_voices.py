"""CAM++ in torch, as an embedding model of pyannote.audio; ours is compared with it."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from pyannote.audio.core.model import Model
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.models.blocks.pooling import StatsPool
from torch import Tensor, nn

_BLOCKS = ((12, 1), (24, 2), (16, 2))


def _named(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


def _norm_relu(width: int) -> nn.Sequential:
    return _named(batchnorm=nn.BatchNorm1d(width), relu=nn.ReLU())


class _Residual(nn.Module):
    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, (stride, 1), 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential()
        if stride > 1:
            conv = nn.Conv2d(width, width, 1, (stride, 1), bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class _Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.layer1 = nn.Sequential(_Residual(32, 2), _Residual(32, 1))
        self.layer2 = nn.Sequential(_Residual(32, 2), _Residual(32, 1))
        self.conv2 = nn.Conv2d(32, 32, 3, (2, 1), 1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x[:, None])))))
        return F.relu(self.bn2(self.conv2(x))).flatten(1, 2)


class _Masked(nn.Module):
    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(width, 32, 3, padding=dilation, dilation=dilation, bias=False)
        self.linear1 = nn.Conv1d(width, width // 2, 1)
        self.linear2 = nn.Conv1d(width // 2, 32, 1)

    def forward(self, x: Tensor) -> Tensor:
        parts = F.avg_pool1d(x, 100, 100, ceil_mode=True).repeat_interleave(100, -1)
        context = x.mean(-1, keepdim=True) + parts[..., : x.shape[-1]]
        return self.linear_local(x) * self.linear2(F.relu(self.linear1(context))).sigmoid()


class _Block(nn.Module):
    def __init__(self, n_layers: int, width: int, dilation: int) -> None:
        super().__init__()
        for i in range(n_layers):
            layer = _named(
                nonlinear1=_norm_relu(width + 32 * i),
                linear1=nn.Conv1d(width + 32 * i, 128, 1, bias=False),
                nonlinear2=_norm_relu(128),
                cam_layer=_Masked(128, dilation),
            )
            self.add_module(f"tdnnd{i + 1}", layer)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = torch.cat([x, layer(x)], 1)
        return x


class CamPlusPlus(Model):
    """Takes (batch, 1, n_samples) and weights of frames, as pyannote.audio gives them."""

    def __init__(self, sample_rate: int = 16_000, num_channels: int = 1, task: Any = None) -> None:
        super().__init__(sample_rate=sample_rate, num_channels=num_channels, task=task)
        self.head = _Head()
        layers: dict[str, nn.Module] = {
            "tdnn": _named(
                linear=nn.Conv1d(320, 128, 5, stride=2, padding=2, bias=False),
                nonlinear=_norm_relu(128),
            )
        }
        width = 128
        for i, (n_layers, dilation) in enumerate(_BLOCKS, 1):
            layers[f"block{i}"] = _Block(n_layers, width, dilation)
            width += 32 * n_layers
            layers[f"transit{i}"] = _named(
                nonlinear=_norm_relu(width), linear=nn.Conv1d(width, width // 2, 1, bias=False)
            )
            width //= 2
        layers["out_nonlinear"] = _norm_relu(width)
        layers["dense"] = _named(
            linear=nn.Conv1d(2 * width, 192, 1, bias=False),
            nonlinear=_named(batchnorm=nn.BatchNorm1d(192, affine=False)),
        )
        self.xvector = _named(**layers)
        self.pool = StatsPool()
        self.specifications = Specifications(
            Problem.REPRESENTATION, Resolution.CHUNK, duration=10.0
        )

    @property
    def dimension(self) -> int:
        """The size of an embedding."""
        return 192

    @lru_cache  # noqa: B019
    def num_frames(self, num_samples: int) -> int:
        """Frames of the trunk."""
        return (1 + (num_samples - 400) // 160 + 1) // 2

    def receptive_field_size(self, num_frames: int = 1) -> int:
        """How many samples so many frames cover."""
        return 400 + (2 * num_frames - 1) * 160

    def receptive_field_center(self, frame: int = 0) -> int:
        """The sample in the middle of a frame."""
        return 200 + 320 * frame

    def trunk(self, features: Tensor) -> Tensor:
        """(batch, n, 80) to (batch, 512, (n + 1) // 2)."""
        x = self.head(features.transpose(1, 2))
        for name, layer in self.xvector.named_children():
            if name != "dense":
                x = layer(x)
        return x

    def voice(self, frames: Tensor, weights: Tensor | None = None) -> Tensor:
        """Embeddings, (batch, 192), of frames of the trunk."""
        pooled = self.pool(frames, weights=weights)
        return self.xvector.dense(pooled[..., None]).squeeze(-1)

    def forward(self, waveforms: Tensor, weights: Tensor | None = None) -> Tensor:
        """Compute embeddings. A chunk is computed once for each voice in it."""
        import torchaudio.compliance.kaldi as kaldi

        if waveforms.shape[-1] < 4000:
            raise RuntimeError("an embedding needs at least 4000 samples")
        features = torch.stack([kaldi.fbank(w, num_mel_bins=80, dither=0.0) for w in waveforms])
        return self.voice(self.trunk(features - features.mean(1, keepdim=True)), weights)
