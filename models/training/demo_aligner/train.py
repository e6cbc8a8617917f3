"""
Train the demo aligner on English by synthesised voices.

    python -m models.training.demo_aligner.train STATE models/demo-aligner-en --minutes 20
    python -m models.training.demo_aligner.measure --calibrate    # then set frame_offset_s
    python -m models.training.demo_aligner.measure --card

STATE keeps the rendered speech. `--start FOLDER` goes on from an aligner that is
there; without it, training begins from nothing. Sentences and voices that are
held out never occur. One thread; two with other work on the machine are slower.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import string
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

from models.training.demo_model.corpus import draw_training, load, render, save
from models.training.demo_model.voices import SAMPLE_RATE_HZ, Utterance
from worker.alignment.labels import Alphabet, spell, split_words
from worker.alignment.network import make_alphabet

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "|")
VOCABULARY = {label: i for i, label in enumerate((*SPECIAL, *string.ascii_lowercase, "'"))}
BATCH = 12
PEAK_RATE, WARM_STEPS = 1.5e-3, 100
JOINED = 0.4
"""Share of batches whose recordings are two sentences with a pause between them."""

_SAVE_EVERY_S = 120.0
Recording = tuple[NDArray[np.float32], tuple[int, ...]]


def alphabet() -> Alphabet:
    """What the demo aligner spells."""
    return make_alphabet(VOCABULARY, blank=0, delimiter="|", n_labels=len(VOCABULARY))


def new_model() -> Wav2Vec2ForCTC:
    """The architecture, with weights to be learned: 0.35 million of them, 20 ms frames."""
    config = Wav2Vec2Config(
        vocab_size=len(VOCABULARY), hidden_size=96, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=256, conv_dim=(48, 48, 64, 64, 96, 96, 96), feat_extract_norm="group",
        num_conv_pos_embeddings=32, num_conv_pos_embedding_groups=4, pad_token_id=0,
        apply_spec_augment=False, mask_time_prob=0.0, layerdrop=0.0, hidden_dropout=0.0,
        attention_dropout=0.0, activation_dropout=0.0, feat_proj_dropout=0.0, final_dropout=0.0,
        ctc_loss_reduction="mean", ctc_zero_infinity=True, tokenizer_class="Wav2Vec2CTCTokenizer",
    )  # fmt: skip
    model = Wav2Vec2ForCTC(config)
    for layer in model.wav2vec2.feature_extractor.conv_layers:
        # The weights transformers draws are meant for a pretrained extractor and hardly learn.
        torch.nn.init.kaiming_normal_(layer.conv.weight)
    return model


def speech(state: Path, n: int) -> list[Utterance]:
    """English sentences said by the voices of training; rendered once and kept."""
    path = state / "english.npz"
    if not path.is_file():
        state.mkdir(parents=True, exist_ok=True)
        english = (s for s in draw_training(n * 3) if s.language == "en")
        save(path, render(islice(english, n), held_out=False, n_processes=1))
    return load(path)


def draw_batch(said: Sequence[Utterance], draw: np.random.Generator) -> list[Recording]:
    """
    Recordings of about one length, silence around them, hiss on them, each normalised.

    Args:
        said: In order of length.
    """
    joined = draw.random() < JOINED
    first = int(draw.integers(0, (len(said) // 2 if joined else len(said)) - BATCH))
    recordings = []
    for utterance in said[first : first + BATCH]:
        parts = [utterance]
        if joined:
            parts.append(said[int(draw.integers(0, len(said) // 2))])
        pieces: list[NDArray[np.float32]] = []
        for part in parts:
            pieces.append(np.zeros(int(draw.uniform(0.05, 0.7) * SAMPLE_RATE_HZ), np.float32))
            pieces.append(part.waveform.astype(np.float32) / 32768)
        words = split_words(" ".join(part.text for part in parts), has_spaces=True)
        labels = spell(words, alphabet(), has_spaces=True).labels
        recordings.append((np.concatenate(pieces), labels))
    longest = max(len(wave) for wave, _ in recordings) + SAMPLE_RATE_HZ // 5
    return [(_noisy(wave, longest, draw), labels) for wave, labels in recordings]


def _noisy(
    wave: NDArray[np.float32], n_samples: int, draw: np.random.Generator
) -> NDArray[np.float32]:
    noisy = np.pad(wave, (0, n_samples - len(wave))) * 10 ** (draw.uniform(-8, 3) / 20)
    noisy += draw.standard_normal(n_samples) * draw.choice([0.0003, 0.001, 0.004])
    return ((noisy - noisy.mean()) / (noisy.std() + 1e-4)).astype(np.float32)


def loss_of(model: Wav2Vec2ForCTC, batch: Sequence[Recording]) -> torch.Tensor:
    """Mean CTC loss of a batch."""
    waves = torch.from_numpy(np.stack([wave for wave, _ in batch]))
    labels = torch.full((len(batch), max(len(labels) for _, labels in batch)), -100)
    for row, (_, of_one) in zip(labels, batch, strict=True):
        row[: len(of_one)] = torch.tensor(of_one)
    loss: torch.Tensor = model(waves, labels=labels).loss
    return loss


def train(model: Wav2Vec2ForCTC, said: Sequence[Utterance], folder: Path, minutes: float) -> None:
    """Train for so many minutes, with a rate that falls like a cosine; save now and then."""
    ordered, draw = sorted(said, key=lambda u: len(u.waveform)), np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=1e-3)
    started = saved = time.monotonic()
    step, mean = 0, math.nan
    model.train()
    while (done := (time.monotonic() - started) / (minutes * 60)) < 1:
        rate = (
            PEAK_RATE * min(1, (step + 1) / WARM_STEPS) * (0.51 + 0.49 * math.cos(math.pi * done))
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = loss_of(model, draw_batch(ordered, draw))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        mean = loss.item() if math.isnan(mean) else 0.95 * mean + 0.05 * loss.item()
        if step % 50 == 0:
            print(f"{step} steps, {done:.0%}, loss {mean:.3f}", flush=True)
        if time.monotonic() - saved > _SAVE_EVERY_S:
            write(model, folder)
            saved = time.monotonic()
    write(model, folder)


def write(model: Wav2Vec2ForCTC, folder: Path) -> None:
    """Write what `worker.alignment` reads; the offset is yet to be measured."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    described = {"name": folder.name, "revision": weights[:12], "frame_offset_s": 0.0}
    normalized = {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": SAMPLE_RATE_HZ,
        "padding_value": 0.0,
        "do_normalize": True,
        "return_attention_mask": False,
    }
    tokens = {
        "tokenizer_class": "Wav2Vec2CTCTokenizer",
        "word_delimiter_token": "|",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
    }
    for name, content in (
        ("longhand.json", described),
        ("vocab.json", VOCABULARY),
        ("preprocessor_config.json", normalized),
        ("tokenizer_config.json", tokens),
    ):
        text = json.dumps(content, indent=2) + "\n"
        (folder / name).write_text(text, encoding="utf-8")


def main() -> None:
    """Render if need be, and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("state", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--sentences", type=int, default=4000)
    parser.add_argument("--start", type=Path, help="an aligner to go on from")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    said = speech(arguments.state, arguments.sentences)
    print(f"{len(said)} sentences", flush=True)
    model = Wav2Vec2ForCTC.from_pretrained(arguments.start) if arguments.start else new_model()
    train(model, said, arguments.folder, arguments.minutes)


if __name__ == "__main__":
    main()
