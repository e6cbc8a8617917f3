"""
Measure the demo model on speech it has never heard, and print the table against its bar.

    python -m models.training.demo_model.evaluate [--model FOLDER] [--save bench/results] [--card]

Voices and sentences are those of `heldout.tsv`; the sentences of `FIXED` are
said in training too, by other voices, and are scored apart. Text is compared
without case and punctuation: words in English, characters in Mandarin.
"""

from __future__ import annotations

import argparse
import datetime
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.training.demo_model.corpus import read_held_out, render, through_codec
from models.training.demo_model.phrasebook import FIXED_EN, FIXED_ZH, Sentence
from models.training.demo_model.scores import (
    GATE,
    TARGET,
    Errors,
    Table,
    decode,
    error_rates,
    normal,
    padded,
    text_of,
)
from models.training.demo_model.voices import RMS_LEVEL, SAMPLE_RATE_HZ, Utterance
from shared.request import TranscriptionRequest
from shared.settings import CHECKOUT
from shared.transcript import Transcript
from worker.audio.source import AudioSource
from worker.engines import open_engine
from worker.engines.base import DecodeOptions, Engine
from worker.pipeline import transcribe
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings, quieten_libraries

_LEAD = SAMPLE_RATE_HZ // 4
_NEAR_S = 0.3
_MEASURED = "## Measured"


def measure_clips(table: Table, engine: Engine, said: Sequence[Utterance]) -> dict[str, float]:
    """Single sentences: text, language, start and end; returns the error rates."""
    waves = [padded(u) for u in said]
    found = decode(engine, waves, [DecodeOptions(u.language) for u in said])
    rates = error_rates(said, found)
    for language, name in (("en", "English, word error rate"), ("zh", "Mandarin, character error")):
        table.rate(name, rates[language], gate=GATE[language], target=TARGET[language])
    guesses = [engine.detect_language(wave).language for wave in waves]
    right = np.mean([g == u.language for g, u in zip(guesses, said, strict=True)])
    table.share("language right", float(right), target=0.98)
    near = []
    for u, segments in zip(said, found, strict=True):
        end_s = 0.25 + len(u.waveform) / SAMPLE_RATE_HZ
        starts = bool(segments) and abs(segments[0].start - 0.25) <= _NEAR_S
        near.append(starts and abs(segments[-1].end - end_s) <= _NEAR_S)
    table.share(f"segment start and end within {_NEAR_S} s", float(np.mean(near)), target=0.9)
    return rates


def measure_words(table: Table, engine: Engine, said: Sequence[Utterance]) -> None:
    """When words start, in sentences written rightly, against what the synthesiser tells."""
    timed = [u for u in said if u.words]
    options = [DecodeOptions(u.language, word_timestamps=True) for u in timed]
    late: dict[str, list[float]] = {"en": [], "zh": []}
    for u, segments in zip(timed, decode(engine, [padded(u) for u in timed], options), strict=True):
        words = [word for segment in segments for word in segment.words or ()]
        if len(words) == len(u.words) and normal(text_of(segments)) == normal(u.text):
            pairs = zip(words, u.words, strict=True)
            late[u.language] += [abs(word.start - 0.25 - start) for word, (_, start) in pairs]
    for language, errors in late.items():
        close = float(np.mean([e <= 0.2 for e in errors])) if errors else 0.0
        table.share(f"word starts within 0.2 s, {language} ({len(errors)} words)", close)


def measure_prompted(
    table: Table, engine: Engine, said: Sequence[Utterance], rates: dict[str, float]
) -> None:
    """The same clips after previous text: it must help or do nothing."""
    draw = random.Random(5)
    prompts = [draw.choice([u.text for u in said if u.language == s.language]) for s in said]
    options = [DecodeOptions(s.language, prompt=p) for s, p in zip(said, prompts, strict=True)]
    prompted = error_rates(said, decode(engine, [padded(u) for u in said], options))
    for language in ("en", "zh"):
        worse = prompted[language] - rates[language]
        table.rate(f"worse after previous text, {language}", worse, target=0.02)


def measure_codecs(
    table: Table, engine: Engine, said: Sequence[Utterance], rates: dict[str, float]
) -> None:
    """The same clips through the codecs uploads come in."""
    options = [DecodeOptions(u.language) for u in said]
    for label, codec in (
        ("mp3 64 kbit/s", ("mp3", "libmp3lame", 64_000)),
        ("opus 24 kbit/s", ("ogg", "libopus", 24_000)),
    ):
        waves = [
            through_codec((padded(u) * 32767).astype(np.int16), *codec).astype(np.float32) / 32768
            for u in said
        ]
        coded = error_rates(said, decode(engine, waves, options))
        for language in ("en", "zh"):
            worse = coded[language] - rates[language]
            table.rate(f"worse through {label}, {language}", worse, target=0.02)


def measure_broken_off(table: Table, engine: Engine, said: Sequence[Utterance]) -> None:
    """Audio that stops in mid-sentence, padding after it: the words so far."""
    draw = random.Random(11)
    cut = [u for u in said if len(u.words) > 3]
    waves, texts = [], []
    for u in cut:
        position, start = draw.choice(u.words[2:])
        waves.append(padded(u)[: _LEAD + int(start * SAMPLE_RATE_HZ)])
        texts.append(u.text[:position])
    found = decode(engine, waves, [DecodeOptions(u.language) for u in cut])
    pooled = {"en": Errors(), "zh": Errors()}
    for u, text, segments in zip(cut, texts, found, strict=True):
        pooled[u.language].add(text, text_of(segments), u.language)
    for language, errors in pooled.items():
        table.rate(f"words so far when broken off, {language}", errors.rate)


def measure_silence(table: Table, engine: Engine, models: LocalModels) -> None:
    """Silence and noise of several kinds, straight to the model and through the pipeline."""
    noise = np.random.default_rng(3)
    clips = [np.zeros(n * SAMPLE_RATE_HZ, np.float32) for n in (1, 5, 30)]
    for level in (0.001, 0.01, 0.05):
        for n in (2, 10, 30):
            clips.append((noise.standard_normal(n * SAMPLE_RATE_HZ) * level).astype(np.float32))
    hum = np.sin(np.arange(10 * SAMPLE_RATE_HZ) * 2 * np.pi * 50 / SAMPLE_RATE_HZ)
    clips.append((hum * 0.1).astype(np.float32))
    for label, quiet in (
        ("straight to the model", lambda c: not decode(engine, [c], [DecodeOptions("en")])[0]),
        ("through the pipeline", lambda c: not run_pipeline(models, c).text),
    ):
        share = float(np.mean([quiet(clip) for clip in clips]))
        table.share(f"silence and noise give no text, {label}", share, target=1.0)


def run_pipeline(
    models: LocalModels, waveform: NDArray[np.float32], language: str | None = None
) -> Transcript:
    """Transcribe samples as a worker does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audio.pcm"
        samples = (np.clip(waveform, -1, 1) * 32767).astype("<i2")
        samples.tofile(path)
        audio = AudioSource(path, len(samples))
        request = TranscriptionRequest(language=language)
        return transcribe(audio, request, models, lambda *_: None, model="demo")


def measure_long(table: Table, models: LocalModels, said: Sequence[Utterance]) -> None:
    """Files of many sentences, 30 s and 120 s."""
    draw = random.Random(13)
    for length_s, n_files in ((30, 8), (120, 3)):
        for language in ("en", "zh"):
            errors = Errors()
            pool = [u for u in said if u.language == language]
            for _ in range(n_files):
                wave, text = join(pool, length_s, draw)
                errors.add(text, run_pipeline(models, wave, language).text, language)
            table.rate(f"{length_s} s files, {language}", errors.rate, target=0.10)


def join(
    pool: Sequence[Utterance], length_s: float, draw: random.Random
) -> tuple[NDArray[np.float32], str]:
    """One recording of sentences with pauses between them, and its text."""
    pieces, texts, n = [], [], 0
    while True:
        said = draw.choice(pool)
        pause = int(draw.uniform(0.3, 1.2) * SAMPLE_RATE_HZ)
        if n + len(said.waveform) + pause > length_s * SAMPLE_RATE_HZ:
            break
        pieces += [said.waveform.astype(np.float32) / 32768, np.zeros(pause, np.float32)]
        texts.append(said.text)
        n += len(said.waveform) + pause
    wave = np.pad(np.concatenate(pieces), (0, int(length_s * SAMPLE_RATE_HZ) - n))
    hiss = np.random.default_rng(len(texts)).standard_normal(len(wave)) * RMS_LEVEL * 0.01
    return (wave + hiss).astype(np.float32), " ".join(texts)


def measure_agreement(table: Table, model: Path, said: Sequence[Utterance]) -> None:
    """Engines in float32 write the same tokens, and text alone is as good as text with times."""
    import torch
    from whisper.decoding import DecodingOptions
    from whisper.decoding import decode as decode_whisper

    engines: list[Any] = [
        open_engine(name, model, device="cpu", compute_type="float32", threads=1)
        for name in ("openai_whisper", "faster_whisper")
    ]
    options = [DecodeOptions(u.language, beam_size=1) for u in said]
    waves = [padded(u) for u in said]
    written = [
        [[s.tokens for s in segments] for segments in decode(engine, waves, options)]
        for engine in engines
    ]
    same = [a == b for a, b in zip(*written, strict=True)]
    table.share(f"same greedy tokens, {len(said)} clips", float(np.mean(same)), target=0.99)
    whisper, untimed, n_stamps = engines[0], Errors(), 0
    for u, wave in zip(said, waves, strict=True):
        plain_options = DecodingOptions(language=u.language, fp16=False, without_timestamps=True)
        with torch.inference_mode():
            plain = decode_whisper(whisper._model, whisper._features(wave), plain_options)
        untimed.add(u.text, plain.text, u.language)
        first = whisper._tokenizer("en", "transcribe").timestamp_begin
        n_stamps += sum(token > first for token in plain.tokens)
    table.rate("asked for no timestamps: errors", untimed.rate, target=TARGET["en"])
    table.rate("asked for no timestamps: timestamps a clip", n_stamps / len(said), target=0.02)


def measure(model: Path) -> Table:
    """Measure everything."""
    table = Table()
    sentences = read_held_out()
    said = render(sentences, held_out=True, n_processes=2)
    fixed = [Sentence(t, "en") for t in FIXED_EN] + [Sentence(t, "zh") for t in FIXED_ZH]
    phrases = render(fixed, held_out=True, n_processes=2)
    engine = open_engine("faster_whisper", model, device="cpu", compute_type="int8", threads=1)
    models = LocalModels(WorkerSettings(models_dir=model.parent, downloads=False, device="cpu"))
    rates = measure_clips(table, engine, said)
    measure_words(table, engine, said)
    found = decode(
        engine, [padded(u) for u in phrases], [DecodeOptions(u.language) for u in phrases]
    )
    for language, rate in error_rates(phrases, found).items():
        table.rate(f"fixed phrases, unseen voices, {language}", rate)
    measure_broken_off(table, engine, said)
    measure_prompted(table, engine, said, rates)
    measure_codecs(table, engine, said, rates)
    measure_silence(table, engine, models)
    measure_long(table, models, said)
    exact = open_engine("faster_whisper", model, device="cpu", compute_type="float32", threads=1)
    options = [DecodeOptions(u.language) for u in said]
    full = error_rates(said, decode(exact, [padded(u) for u in said], options))
    for language in ("en", "zh"):
        table.rate(
            f"int8 worse than float32, {language}", rates[language] - full[language], target=0.01
        )
    measure_agreement(table, model, said)
    return table


def main() -> int:
    """Print the table; status 1 if the gate does not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--model", type=Path, default=CHECKOUT / "models" / "demo")
    parser.add_argument("--save", type=Path, help="directory for a dated copy")
    parser.add_argument("--card", action="store_true", help="write the table into the model's card")
    arguments = parser.parse_args()
    quieten_libraries()
    table = measure(arguments.model)
    verdict = "gate holds" if table.gate_holds else "GATE DOES NOT HOLD"
    verdict += ", target holds" if table.target_holds else ", target not wholly reached"
    text = f"{table.text()}\n\n{verdict}\n"
    print(text)
    day = datetime.date.today().isoformat()
    if arguments.save:
        arguments.save.mkdir(parents=True, exist_ok=True)
        (arguments.save / f"demo-model-{day}.md").write_text(text, encoding="utf-8")
    if arguments.card:
        card = arguments.model / "README.md"
        kept = card.read_text(encoding="utf-8").partition(_MEASURED)[0]
        card.write_text(
            f"{kept}{_MEASURED}\n\n{day}, `make demo-eval`:\n\n{text}", encoding="utf-8"
        )
    return 0 if table.gate_holds else 1


if __name__ == "__main__":
    sys.exit(main())
