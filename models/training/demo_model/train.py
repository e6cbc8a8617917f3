"""
Train the demo model.

    python -m models.training.demo_model.train CORPUS_DIRECTORY STATE_DIRECTORY --minutes 150

Stops when the minutes are used up and goes on from its state when started
again. The learning rate is constant, so that a run may be lengthened; with
`--finish` it falls to nothing over the minutes given.

What makes so small a run work: a compact vocabulary (`vocabulary.py`), CTC on
the encoder beside the decoder's loss, short windows at random positions of the
30 s (`windows.py`), and one attention head a layer that is taught where each
word is said. That head is the alignment head word timestamps are read from.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from whisper.model import ModelDimensions, Whisper

from models.training.demo_model.batches import Batch, BatchProcess
from models.training.demo_model.vocabulary import N_TIMESTAMPS, Vocabulary
from models.training.demo_model.windows import STAGES

DIMENSIONS = ModelDimensions(
    n_mels=80,
    n_audio_ctx=1500,
    n_audio_state=128,
    n_audio_head=4,
    n_audio_layer=4,
    n_vocab=0,
    n_text_ctx=448,
    n_text_state=128,
    n_text_head=4,
    n_text_layer=3,
)
GUIDED_LAYERS = (1, 2)
"""Decoder layers whose head 0 is taught to listen where the word is said."""

WARM_UP_STEPS = 300
CTC_WEIGHT, GUIDE_WEIGHT = 0.3, 0.15
AVERAGE_DECAY = 0.998
SAVE_EVERY_S = 180


@dataclass
class Progress:
    """What a run has behind it."""

    step: int = 0
    elapsed_s: float = 0.0
    losses: dict[str, float] = field(default_factory=dict)

    def note(self, name: str, value: float) -> None:
        self.losses[name] = 0.98 * self.losses.get(name, value) + 0.02 * value


class Learner(nn.Module):
    """Whisper over the compact vocabulary, with the two auxiliary losses."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__()
        n_rows = len(vocabulary.ids) + 1
        self.whisper = Whisper(ModelDimensions(**{**asdict(DIMENSIONS), "n_vocab": n_rows}))
        nn.init.normal_(self.whisper.decoder.positional_embedding, std=0.01)
        nn.init.normal_(self.whisper.decoder.token_embedding.weight, std=0.02)
        self.ctc = nn.Linear(DIMENSIONS.n_audio_state, vocabulary.n_text + 1)
        bias = torch.zeros(n_rows)
        bias[-1] = math.log(vocabulary.n_unused)
        self.register_buffer("bias", bias, persistent=False)

    def encode(self, mel: Tensor, offsets: Tensor) -> Tensor:
        """Encode (n, 80, n_frames) windows, each at its own place in the 30 s."""
        encoder = self.whisper.encoder
        x = F.gelu(encoder.conv2(F.gelu(encoder.conv1(mel)))).permute(0, 2, 1)
        places = offsets[:, None] + torch.arange(x.shape[1])
        x = x + encoder.positional_embedding[places]
        for block in encoder.blocks:
            x = block(x)
        return encoder.ln_post(x)

    def decode(self, tokens: Tensor, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return (n, n_tokens, n_rows) logits and the guided heads' log weights."""
        decoder = self.whisper.decoder
        x = decoder.token_embedding(tokens) + decoder.positional_embedding[: tokens.shape[1]]
        x = x.to(audio.dtype)
        guided = []
        for layer, block in enumerate(decoder.blocks):
            x = x + block.attn(block.attn_ln(x), mask=decoder.mask)[0]
            cross, normed = block.cross_attn, block.cross_attn_ln(x)
            q, k, v = (
                part.unflatten(-1, (cross.n_head, -1)).transpose(1, 2)
                for part in (cross.query(normed), cross.key(audio), cross.value(audio))
            )
            if layer in GUIDED_LAYERS:
                scores = (q[:, 0] @ k[:, 0].transpose(1, 2)).float() / q.shape[-1] ** 0.5
                guided.append(scores.log_softmax(-1))
            heard = F.scaled_dot_product_attention(q, k, v)
            x = x + cross.out(heard.transpose(1, 2).flatten(2))
            x = x + block.mlp(block.mlp_ln(x))
        return self.whisper.decoder.ln(x) @ decoder.token_embedding.weight.t().to(x.dtype), guided

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Cross-entropy, CTC and the guided heads' loss of one batch."""
        with torch.autocast("cpu", dtype=torch.bfloat16):
            audio = self.encode(batch.mel, batch.offsets)
            logits, guided = self.decode(batch.inputs, audio)
            heard = self.ctc(audio)
        logits = logits.float() + self.bias
        ce = F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten(), ignore_index=-100)
        ctc = F.ctc_loss(
            heard.float().log_softmax(-1).transpose(0, 1),
            batch.ctc,
            torch.full((heard.shape[0],), heard.shape[1]),
            batch.ctc_lengths,
            zero_infinity=True,
        )
        return {"ce": ce, "ctc": ctc, "guide": guide_loss(guided, batch.spans)}


def guide_loss(guided: list[Tensor], spans: Tensor) -> Tensor:
    """
    How far the guided heads are from listening evenly to where the next word is said.

    Evenly, because word timing smooths the weights by a median over seven
    frames, which would wipe out a narrow peak.

    Args:
        guided: Per guided layer, (n, n_tokens, n_frames) log attention weights.
        spans: (n, n_tokens, 2) frames; -1 where no word is said.
    """
    frames = torch.arange(guided[0].shape[-1])
    inside = (frames >= spans[..., :1]) & (frames <= spans[..., 1:])
    n_inside = inside.sum(-1)
    known = (spans[..., 0] >= 0) & (n_inside > 0)
    if not known.any():
        return guided[0].sum() * 0
    means = [(w * inside).sum(-1)[known] / n_inside[known] for w in guided]
    # What an even distribution over the span would cost is not counted.
    return -torch.stack([(m + n_inside[known].log()).mean() for m in means]).mean()


def stage_of(elapsed_s: float, *, finishing: bool) -> str:
    """Which mix of windows a run that long practises."""
    if finishing:
        return "finish"
    minutes = elapsed_s / 60
    return "short" if minutes < 15 else "single" if minutes < 35 else "mix"


class Trainer:
    """A run that can be stopped and taken up again."""

    def __init__(self, corpus: Path, directory: Path, rate: float) -> None:
        self._state = directory / "state.pt"
        self._rate = rate
        with np.load(corpus) as stored:
            pairs = zip(stored["text"].tolist(), stored["language"].tolist(), strict=True)
            self.vocabulary = Vocabulary.of(sorted(set(pairs)))
        torch.manual_seed(0)
        self.learner = Learner(self.vocabulary)
        self.average = copy.deepcopy(self.learner)
        self.optimizer = torch.optim.AdamW(
            self.learner.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01
        )
        self.progress = Progress()
        if self._state.exists():
            self._load(torch.load(self._state, weights_only=True))
        self.batches = BatchProcess(corpus, self.vocabulary, seed=self.progress.step)

    def _load(self, state: dict[str, Any]) -> None:
        assert tuple(state["ids"]) == self.vocabulary.ids, "the corpus is not the state's"
        self.learner.load_state_dict(state["learner"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.progress = Progress(state["step"], state["elapsed_s"], state["losses"])

    def save(self) -> None:
        """Write the whole state; a run killed while it writes keeps the one before."""
        part = self._state.with_suffix(".part")
        torch.save(
            {
                "learner": self.learner.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "ids": list(self.vocabulary.ids),
                "n_text": self.vocabulary.n_text,
                **asdict(self.progress),
            },
            part,
        )
        part.replace(self._state)

    def run(self, minutes: float, *, finish: bool) -> None:
        """Train for `minutes`; with `finish` the learning rate falls to nothing meanwhile."""
        started = saved = time.monotonic()
        before_s = self.progress.elapsed_s
        n_steps = 0
        while (spent_s := time.monotonic() - started) < minutes * 60:
            self.progress.elapsed_s = before_s + spent_s
            stage = stage_of(self.progress.elapsed_s, finishing=finish)
            self.batches.stage.value = list(STAGES).index(stage)
            fall = 1 - 0.98 * spent_s / (minutes * 60) if finish else 1.0
            rise = min(1.0, (self.progress.step + 1) / WARM_UP_STEPS)
            self._step(self.batches.next(), self._rate * rise * fall)
            n_steps += 1
            if n_steps % 50 == 0:
                losses = " ".join(f"{k} {v:.3f}" for k, v in self.progress.losses.items())
                pace = n_steps / spent_s if spent_s else 0.0
                minutes_in = self.progress.elapsed_s / 60
                print(
                    f"{stage} step {self.progress.step} {minutes_in:.1f} min {losses} "
                    f"{pace:.2f} step/s",
                    flush=True,
                )
            if time.monotonic() - saved > SAVE_EVERY_S:
                self.save()
                saved = time.monotonic()
        self.save()

    def _step(self, batch: Batch, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses = self.learner.losses(batch)
        total = losses["ce"] + CTC_WEIGHT * losses["ctc"] + GUIDE_WEIGHT * losses["guide"]
        self.optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        self.optimizer.step()
        self.progress.step += 1
        decay = min(AVERAGE_DECAY, self.progress.step / (self.progress.step + 20))
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.learner.parameters(), strict=True)
            for kept, new in pairs:
                kept.lerp_(new, 1 - decay)
        for name, loss in losses.items():
            self.progress.note(name, loss.item())


def main() -> None:
    """Train, or go on training."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("corpus", type=Path, help="directory with train.npz")
    parser.add_argument("state", type=Path, help="directory that keeps the run's state")
    parser.add_argument("--minutes", type=float, default=150)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="learning rate")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--finish", action="store_true", help="let the learning rate fall")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    torch.set_num_threads(arguments.threads)
    arguments.state.mkdir(parents=True, exist_ok=True)
    assert DIMENSIONS.n_audio_ctx + 1 == N_TIMESTAMPS
    trainer = Trainer(arguments.corpus / "train.npz", arguments.state, arguments.rate)
    trainer.run(arguments.minutes, finish=arguments.finish)


if __name__ == "__main__":
    main()
