"""Batches of windows for the trainer, made in a process of their own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from whisper.audio import mel_filters

from models.training.demo_model import corpus
from models.training.demo_model.vocabulary import FRAME_S, TOKENIZER, Vocabulary
from models.training.demo_model.windows import STAGES, WINDOW_S, Window, WindowMaker


@dataclass(frozen=True)
class Batch:
    """
    Attributes:
        mel: (n, 80, n_frames) float32.
        offsets: (n,) first position of the encoder's 1,500 this window stands at.
        inputs, targets: (n, n_tokens) compact rows; -100 carries no loss.
        spans: (n, n_tokens, 2) float32 frames from the window's start; -1 unknown.
        ctc: CTC targets of all windows end to end, shifted by one (0 is blank).
        ctc_lengths: (n,) how many of them each window has.
    """

    mel: Tensor
    offsets: Tensor
    inputs: Tensor
    targets: Tensor
    spans: Tensor
    ctc: Tensor
    ctc_lengths: Tensor


def log_mel(waveforms: NDArray[np.float32], filters: Tensor) -> Tensor:
    """
    Log-mel features as `whisper.log_mel_spectrogram`, each window scaled by its own maximum.

    Args:
        waveforms: (n, n_samples) float32.
        filters: (80, 201) float32.

    Returns:
        (n, 80, n_samples / 160) float32.
    """
    window = torch.hann_window(400)
    stft = torch.stft(torch.from_numpy(waveforms), 400, 160, window=window, return_complex=True)
    power = stft[..., :-1].abs() ** 2
    log = (filters @ power).clamp(min=1e-10).log10()
    log = torch.maximum(log, log.amax((1, 2), keepdim=True) - 8)
    return (log + 4) / 4


def collate(
    windows: list[Window], offsets: list[int], vocabulary: Vocabulary, draw: random.Random
) -> Batch:
    """Make one batch; some padding becomes zero features, as faster-whisper pads."""
    mel = log_mel(np.stack([w.waveform for w in windows]), mel_filters("cpu", 80))
    for i, window in enumerate(windows):
        if window.text and draw.random() < 0.25:
            mel[i, :, window.padded_from // 160 + 1 :] = 0
    rows = vocabulary.rows
    n_tokens = max(len(w.tokens) for w in windows) - 1
    inputs = torch.full((len(windows), n_tokens), rows[TOKENIZER.eot])
    targets = torch.full((len(windows), n_tokens), -100)
    spans = torch.full((len(windows), n_tokens, 2), -1.0)
    for i, window in enumerate(windows):
        tokens = torch.tensor([rows[t] for t in window.tokens])
        inputs[i, : len(tokens) - 1] = tokens[:-1]
        targets[i, : len(tokens) - 1] = tokens[1:]
        targets[i, : window.n_masked] = -100
        # The position that predicts a token is the one that should listen to it.
        known = torch.tensor(window.spans[1:])
        spans[i, : len(tokens) - 1] = torch.where(known >= 0, known / FRAME_S, known)
    return Batch(
        mel,
        torch.tensor(offsets),
        inputs,
        targets,
        spans,
        torch.tensor([rows[t] + 1 for w in windows for t in w.text] or [0]),
        torch.tensor([len(w.text) for w in windows]),
    )


def batches(maker: WindowMaker, vocabulary: Vocabulary, stage: Any, seed: int) -> Iterator[Batch]:
    """Draw batches for ever; `stage.value` is the index of the stage to draw for."""
    draw = random.Random(seed)
    names = list(STAGES)
    while True:
        kinds = STAGES[names[stage.value]]
        shapes = draw.choices([s for _, s in kinds], [share for share, _ in kinds])[0]
        shape = draw.choice(shapes)
        last = WINDOW_S * 50 - shape.window_s * 50
        offsets = [
            draw.randint(0, last) if draw.random() < 0.7 else 0 for _ in range(shape.n_windows)
        ]
        windows = [maker.make(shape, offset) for offset in offsets]
        yield collate(windows, offsets, vocabulary, draw)


def _produce(path: Path, vocabulary: Vocabulary, stage: Any, seed: int, out: Any) -> None:
    torch.set_num_threads(1)
    maker = WindowMaker(corpus.load(path), seed)
    for batch in batches(maker, vocabulary, stage, seed):
        out.put(batch)


class BatchProcess:
    """Batches made in a process of their own, a few ahead of the trainer."""

    def __init__(self, path: Path, vocabulary: Vocabulary, seed: int) -> None:
        context = get_context("spawn")
        self.stage = context.Value("i", 0)
        self._queue = context.Queue(maxsize=8)
        self._process = context.Process(
            target=_produce,
            args=(path, vocabulary, self.stage, seed, self._queue),
            daemon=True,
        )
        self._process.start()

    def next(self) -> Batch:
        """Wait for the next batch."""
        batch: Batch = self._queue.get(timeout=600)
        return batch
