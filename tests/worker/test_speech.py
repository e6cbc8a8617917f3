"""Finding speech and cutting it: nothing said is lost, no chunk is too long."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from spoken import draw_long_clip, draw_utterances, transcribe_here

from shared.catalogue import MODELS
from tools.demo_model.voices import SAMPLE_RATE_HZ
from worker.audio import AudioSource
from worker.models.cache import LocalModels
from worker.speech import (
    MAX_CHUNK_S,
    WINDOW,
    Span,
    cut_chunks,
    find_speech,
    speech_probabilities,
)


def source(path: Path, samples: NDArray[np.int16]) -> AudioSource:
    samples.tofile(path)
    return AudioSource(path, len(samples))


def test_every_utterance_is_found_and_the_pauses_are_not(tmp_path: Path) -> None:
    pause = np.zeros(2 * SAMPLE_RATE_HZ, np.int16)
    pieces, spans, at = [], [], 0
    for said in draw_utterances(12, seed=41):
        pieces += [pause, said.waveform]
        spans.append(Span(at + len(pause), at + len(pause) + len(said.waveform)))
        at = spans[-1].end
    audio = source(tmp_path / "a.pcm", np.concatenate([*pieces, pause]))

    found = find_speech(speech_probabilities(audio), audio.n_samples)

    for span in spans:
        inside = sum(max(0, min(f.end, span.end) - max(f.start, span.start)) for f in found)
        assert inside > 0.95 * (span.end - span.start)
    quiet = audio.n_samples - sum(f.end - f.start for f in found)
    assert quiet > 12 * SAMPLE_RATE_HZ


def test_blocks_do_not_change_what_is_found(tmp_path: Path) -> None:
    from faster_whisper.vad import get_vad_model

    said = np.concatenate([u.waveform for u in draw_utterances(40, seed=42)])
    audio = source(tmp_path / "a.pcm", said)
    whole = np.pad(said.astype(np.float32) / 32768, (0, -len(said) % WINDOW))

    found = speech_probabilities(audio)

    assert audio.duration_s > 70  # more than one block
    assert np.array_equal(found, get_vad_model()(whole).reshape(-1))


@pytest.mark.parametrize("level", [0.0, 0.001, 0.01])
def test_silence_and_noise_hold_no_speech(tmp_path: Path, level: float) -> None:
    noise = np.random.default_rng(0).standard_normal(20 * SAMPLE_RATE_HZ) * level * 32767
    audio = source(tmp_path / "a.pcm", noise.astype(np.int16))

    assert find_speech(speech_probabilities(audio), audio.n_samples) == []


@pytest.mark.parametrize("seed", range(20))
def test_chunks_hold_all_speech_once_and_are_at_most_thirty_seconds(seed: int) -> None:
    draw = random.Random(seed)
    probabilities: list[float] = []
    while len(probabilities) < 8_000:
        level = draw.choice([0.02, 0.95])
        probabilities += [level + draw.uniform(-0.02, 0.02) for _ in range(draw.randint(3, 1500))]
    n_samples = len(probabilities) * WINDOW - draw.randint(0, WINDOW - 1)

    spans = find_speech(probabilities, n_samples)
    chunks = cut_chunks(spans, probabilities)

    assert all(a.end <= b.start for a, b in zip(spans, spans[1:], strict=False))
    assert all(a.end <= b.start for a, b in zip(chunks, chunks[1:], strict=False))
    assert all(0 < chunk.duration_s <= MAX_CHUNK_S for chunk in chunks)
    assert chunks[0].start >= 0 and chunks[-1].end <= n_samples
    covered = np.zeros(n_samples, bool)
    for chunk in chunks:
        covered[chunk.start : chunk.end] = True
    assert all(covered[span.start : span.end].all() for span in spans)


def test_speech_without_a_pause_is_cut_where_it_is_quietest() -> None:
    probabilities = [0.9] * 3000
    probabilities[850] = 0.6

    chunks = cut_chunks([Span(0, 3000 * WINDOW)], probabilities)

    assert chunks[0] == Span(0, 850 * WINDOW + WINDOW // 2)
    assert chunks[1].start == chunks[0].end


def test_a_model_is_given_chunks_no_longer_than_it_is_good_at(
    models: LocalModels, tmp_path: Path
) -> None:
    clip = draw_long_clip(tmp_path, seed=43, length_s=60)

    starts = {segment.seek for segment in transcribe_here(models, clip.path).segments}

    assert MODELS["demo"].chunk_s == 8
    assert len(starts) >= 60 / 8
