"""
Train the networks of the demo diarization pipeline on one core.

    python -m models.training.demo_diarization.train DIRECTORY [--start FOLDER]

DIRECTORY becomes a pipeline: config.yaml, embedding/ and segmentation/. `--start` continues
from another one; `--embedding-s` and `--segmentation-s` say for how long.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import lightning
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pyannote.audio.core.model import Model
from pyannote.audio.core.task import Problem, Resolution, Specifications
from pyannote.audio.utils.permutation import permutate
from pyannote.audio.utils.powerset import Powerset
from torch import Tensor

from models.training.demo_diarization.people import Recording, draw_people, record
from worker.demo_voices import DemoSegmentation, DemoSpeakerEmbedding

PEOPLE_PER_VARIANT, SENTENCES_EACH, SEED = 4, 20, 1
CHUNK_S = 10.0
CONFIG = """\
dependencies:
  pyannote.audio: 4.0.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: AgglomerativeClustering
    segmentation: $model/segmentation
    segmentation_batch_size: 8
    embedding: $model/embedding
    embedding_batch_size: 8
    embedding_exclude_overlap: true
params:
  segmentation:
    min_duration_off: 0.1
  clustering:
    method: centroid
    threshold: 0.7
    min_cluster_size: 4
"""
"""Clustering as tuned on the development dialogs."""

_RATE_HZ = 16_000
_N = int(CHUNK_S * _RATE_HZ)
_TICKS = _N // 160
_MOST = 3  # speakers in a chunk

Pool = list[list[Recording]]


@dataclass(frozen=True)
class Schedule:
    """How long to train, at which highest rate; the rate falls along a cosine."""

    seconds: float
    rate: float

    def run(self, parameters: list[Tensor], step: Callable[[float], Tensor], name: str) -> None:
        """Call `step`, which is told the fraction of time gone, for a loss until time is up."""
        optimizer = torch.optim.AdamW(parameters, lr=self.rate, weight_decay=1e-4)
        began, n, mean = time.monotonic(), 0, 0.0
        while (gone := (time.monotonic() - began) / self.seconds) < 1:
            warm = min(1.0, (n + 1) / 30)
            rate = self.rate * warm * (0.5 * (1 + math.cos(math.pi * gone)) + 0.01)
            for group in optimizer.param_groups:
                group["lr"] = rate
            loss = step(gone)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            n += 1
            mean = loss.item() if n == 1 else 0.97 * mean + 0.03 * loss.item()
            if n % 25 == 0:
                print(f"{name} {n} {gone:.0%} loss {mean:.3f}", flush=True)


def train_embedding(
    model: DemoSpeakerEmbedding, pool: Pool, schedule: Schedule, draw: np.random.Generator
) -> None:
    """Tell all people apart, by cosine with a margin."""
    model.train()
    centres = torch.nn.Parameter(torch.randn(len(pool), model.dimension) * 0.1)

    def step(gone: float) -> Tensor:
        n = int(draw.uniform(0.6, 3.0) * _RATE_HZ)
        who = draw.permutation(len(pool))[:48]
        crops = np.stack([_crop(draw, pool[k], n) for k in who])
        weights = _random_masks(draw, len(who)) if draw.random() < 0.5 else None
        embedded = model(torch.from_numpy(crops)[:, None], weights=weights)
        alike = F.normalize(embedded, dim=-1) @ F.normalize(centres, dim=-1).T
        label = torch.from_numpy(who)
        margin = 0.2 * min(1.0, gone * 3) * F.one_hot(label, len(pool))
        return F.cross_entropy(20 * (alike - margin), label)

    schedule.run([*model.parameters(), centres], step, "embedding")
    model.eval()


def _random_masks(draw: np.random.Generator, n: int) -> Tensor:
    """Leave out a beginning of some crops, as the pipeline does."""
    weights = torch.ones(n, 60)
    for row in range(n):
        if draw.random() < 0.5:
            weights[row, : draw.integers(0, 30)] = 0
    return weights


def _crop(draw: np.random.Generator, said: list[Recording], n: int) -> NDArray[np.float32]:
    pieces: list[NDArray[np.float32]] = []
    while sum(map(len, pieces)) < n:
        recording = said[draw.integers(len(said))]
        pieces += [
            recording.waveform / np.float32(32768),
            np.zeros(draw.integers(4800), np.float32),
        ]
    joined = np.concatenate(pieces)
    start = draw.integers(0, len(joined) - n + 1)
    crop = joined[start : start + n] * np.float32(10 ** (draw.uniform(-15, 5) / 20))
    level = np.sqrt((crop**2).mean()) + 1e-5
    noise = draw.standard_normal(n, dtype=np.float32) * level
    return crop + noise * np.float32(10 ** (-draw.uniform(8, 40) / 20))


def train_segmentation(
    model: DemoSegmentation, pool: Pool, schedule: Schedule, draw: np.random.Generator
) -> None:
    """Find who speaks when in mixtures; its front-end stays as the embedding has it."""
    model.train()
    model.tdnn.eval()
    for parameter in [*model.tdnn.parameters(), *model.embedding.parameters()]:
        parameter.requires_grad_(False)
    sets = Powerset(_MOST, 2)
    frames = model.receptive_field
    n_frames = model.num_frames(_N)
    ticks = np.array([int(frames[i].middle * 100) for i in range(n_frames)]).clip(0, _TICKS - 1)

    def step(gone: float) -> Tensor:
        mixed = [_mix(draw, pool) for _ in range(16)]
        truth = torch.from_numpy(np.stack([active[:, ticks].T for _, active in mixed]))
        found = model(torch.from_numpy(np.stack([waveform for waveform, _ in mixed]))[:, None])
        with torch.no_grad():
            matched, _ = permutate(sets.to_multilabel(found), truth.float())
            label = sets.to_powerset(matched).argmax(-1)
        return F.nll_loss(found.flatten(0, 1), label.flatten())

    schedule.run([p for p in model.parameters() if p.requires_grad], step, "segmentation")
    model.eval()


def _mix(draw: np.random.Generator, pool: Pool) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Ten seconds of one to three people; `(waveform, (3, ticks of 10 ms) who is active)`."""
    mixed, active = np.zeros(_N, np.float32), np.zeros((_MOST, _TICKS), bool)
    for slot, recording, tick, gain in _conversation(draw, pool):
        length = len(recording.active)
        begin, end = max(0, tick), min(_TICKS, tick + length)
        if end > begin:
            piece = recording.waveform[(begin - tick) * 160 : (end - tick) * 160]
            mixed[begin * 160 : end * 160] += piece * np.float32(gain / 32768)
            active[slot, begin:end] |= recording.active[begin - tick : end - tick]
    level = 10 ** (draw.uniform(-12, 3) / 20)
    noise = 0.1 * level * 10 ** (-draw.uniform(12, 45) / 20)
    mixed = mixed * np.float32(level) + draw.standard_normal(_N, dtype=np.float32) * np.float32(
        noise
    )
    return mixed, active


def _conversation(
    draw: np.random.Generator, pool: Pool
) -> Iterator[tuple[int, Recording, int, float]]:
    """Yield `(slot, what is said, first tick, gain)`; one change of speaker in five overlaps."""
    n = draw.choice([1, 2, 3], p=[0.15, 0.5, 0.35])
    who = draw.choice(len(pool), n, replace=False)
    gains = 10 ** (draw.uniform(-4, 4, _MOST) / 20)
    tick, before = int(draw.uniform(-4, 1) * 100), -1
    while tick < _TICKS:
        others = [slot for slot in range(n) if slot != before]
        slot = int(draw.integers(n)) if draw.random() < 0.3 or n == 1 else int(draw.choice(others))
        said = pool[who[slot]]
        recording = said[draw.integers(len(said))]
        overlaps = slot != before and before >= 0 and draw.random() < 0.2
        gap = -draw.uniform(0.1, 1.2) if overlaps else draw.uniform(0.05, 1.0)
        tick += int(gap * 100)
        yield slot, recording, tick, float(gains[slot])
        tick += len(recording.active)
        before = slot


def new_embedding() -> DemoSpeakerEmbedding:
    """An embedding that knows nothing yet."""
    model = DemoSpeakerEmbedding()
    model.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0, min_duration=1.0
    )
    model.setup()
    return model


def new_segmentation(embedding: DemoSpeakerEmbedding) -> DemoSegmentation:
    """A segmentation that knows nothing yet but what the embedding knows."""
    model = DemoSegmentation()
    model.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=CHUNK_S,
        min_duration=CHUNK_S,
        warm_up=(0.0, 0.0),
        classes=[f"speaker#{i + 1}" for i in range(_MOST)],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    model.setup()
    _share_front(model, embedding)
    return model


def _share_front(model: DemoSegmentation, embedding: DemoSpeakerEmbedding) -> None:
    model.tdnn.load_state_dict(embedding.tdnn.state_dict())
    model.embedding.load_state_dict(embedding.embedding.state_dict())


def save(model: Model, folder: Path) -> None:
    """Write a checkpoint as pyannote.audio reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": lightning.__version__,
    }
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, folder / "pytorch_model.bin")


def load_weights(model: Model, folder: Path) -> None:
    """Take over the weights of a checkpoint whatever its class is called."""
    stored = torch.load(folder / "pytorch_model.bin", weights_only=False)
    model.load_state_dict(stored["state_dict"])


def main() -> None:
    """Train one after the other and write the pipeline."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--embedding-s", type=float, default=300)
    parser.add_argument("--segmentation-s", type=float, default=900)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    draw = np.random.default_rng(SEED)
    pool = record(draw_people(PEOPLE_PER_VARIANT, SEED), SENTENCES_EACH, SEED)
    print(f"{len(pool)} people, {sum(map(len, pool))} sentences", flush=True)
    embedding = new_embedding()
    if options.start:
        load_weights(embedding, options.start / "embedding")
    train_embedding(embedding, pool, Schedule(options.embedding_s, 2e-3), draw)
    save(embedding, options.directory / "embedding")
    segmentation = new_segmentation(embedding)
    if options.start:
        load_weights(segmentation, options.start / "segmentation")
        _share_front(segmentation, embedding)
    train_segmentation(segmentation, pool, Schedule(options.segmentation_s, 2e-3), draw)
    save(segmentation, options.directory / "segmentation")
    (options.directory / "config.yaml").write_text(CONFIG, encoding="utf-8")


if __name__ == "__main__":
    main()
