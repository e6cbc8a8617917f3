"""
Make the speech the demo model is trained and measured on.

    python -m models.training.demo_model.corpus held-out         # heldout.tsv beside this file
    python -m models.training.demo_model.corpus render DIRECTORY # train.npz and heldout.npz
    python -m models.training.demo_model.corpus sample PATH.wav  # the sample `make demo` sends

The held-out sentences are drawn first and never enter the training draw; the
held-out voices never say anything in training.
"""

from __future__ import annotations

import argparse
import io
import random
import wave
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from models.training.demo_model.phrasebook import (
    FIXED_EN,
    FIXED_ZH,
    Sentence,
    draw_distinct,
    draw_sentence,
)
from models.training.demo_model.voices import SAMPLE_RATE_HZ, Espeak, Utterance, say, trim

HELD_OUT_LIST = Path(__file__).with_name("heldout.tsv")
HELD_OUT_SEED, TRAINING_SEED = 7, 1
N_HELD_OUT = {"en": 150, "zh": 120}
MIN_S, MAX_S = 0.5, 9.0
SAMPLE_VOICE = "en-us+Andy"
SAMPLE_TEXTS = (
    "Good morning everyone.",
    "Please send the report to Alice before Friday.",
    "The number is three five zero nine.",
)
CODECS = (("mp3", "libmp3lame"), ("ogg", "libopus"))


def write_encoded(
    file: str | BinaryIO,
    waveform: NDArray[np.int16],
    container: str,
    codec: str,
    bit_rate: int,
) -> None:
    """Write (n_samples,) int16 at 16 kHz, mono."""
    with av.open(file, "w", format=container) as writer:
        stream = writer.add_stream(codec, rate=SAMPLE_RATE_HZ, layout="mono")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(waveform[None], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        resampler = av.AudioResampler(
            format=stream.format, layout="mono", rate=stream.rate, frame_size=stream.frame_size
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            writer.mux(stream.encode(piece))
        writer.mux(stream.encode(None))


def through_codec(
    waveform: NDArray[np.int16], container: str, codec: str, bit_rate: int
) -> NDArray[np.int16]:
    """Encode and decode `(n_samples,) int16` at 16 kHz; the result keeps its length."""
    encoded = io.BytesIO()
    write_encoded(encoded, waveform, container, codec, bit_rate)
    encoded.seek(0)
    with av.open(encoded) as reader:
        to_pcm = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)
        frames = [p for f in reader.decode(audio=0) for p in to_pcm.resample(f)]
        frames += to_pcm.resample(None)
    decoded = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    padded = np.zeros(len(waveform), np.int16)
    padded[: len(decoded)] = decoded[: len(waveform)]
    return padded


def draw_held_out() -> list[Sentence]:
    """The sentences that training never sees, English first."""
    return [s for lang, n in N_HELD_OUT.items() for s in draw_distinct(HELD_OUT_SEED, lang, n)]


def read_held_out(path: Path = HELD_OUT_LIST) -> list[Sentence]:
    """Read the committed list: one `language<TAB>text` a line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Sentence(text, language) for language, text in (line.split("\t") for line in lines)]


def draw_training(n_sentences: int) -> Iterator[Sentence]:
    """Draw training sentences, six in ten English, none of them held out."""
    held_out = {sentence.text for sentence in read_held_out()}
    draw = random.Random(TRAINING_SEED)
    n_drawn = 0
    while n_drawn < n_sentences:
        sentence = draw_sentence(draw, "en" if draw.random() < 0.6 else "zh")
        if sentence.text not in held_out:
            n_drawn += 1
            yield sentence


@cache
def _espeak() -> Espeak:
    return Espeak()


def _render_one(task: tuple[int, Sentence, bool]) -> Utterance | None:
    seed, sentence, held_out = task
    draw = random.Random(f"{seed}-{held_out}")
    said = say(_espeak(), sentence.text, sentence.language, draw, held_out=held_out)
    if not MIN_S < len(said.waveform) / SAMPLE_RATE_HZ < MAX_S:
        return None
    if not held_out and draw.random() < 0.2:
        container, codec = draw.choice(CODECS)
        rate = draw.choice((16_000, 24_000, 32_000, 48_000, 64_000))
        said = replace(said, waveform=through_codec(said.waveform, container, codec, rate))
    return said


def render(sentences: Iterable[Sentence], *, held_out: bool, n_processes: int) -> list[Utterance]:
    """Say every sentence once; what comes out too short or too long is left out."""
    tasks = ((i, sentence, held_out) for i, sentence in enumerate(sentences))
    with get_context("spawn").Pool(n_processes) as pool:
        return [said for said in pool.imap(_render_one, tasks, chunksize=64) if said]


def write_sample(path: Path) -> None:
    """Say the sample's sentences, one voice, with pauses between them."""
    pause = np.zeros(SAMPLE_RATE_HZ * 6 // 10, np.int16)
    pieces = [pause]
    for text in SAMPLE_TEXTS:
        waveform, _ = _espeak().speak(text, SAMPLE_VOICE, 150, 50)
        pieces += [trim(waveform)[0], pause]
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes(np.concatenate(pieces).tobytes())


def save(path: Path, utterances: list[Utterance]) -> None:
    """Write utterances as one npz of flat arrays, without pickles."""
    words = [word for said in utterances for word in said.words]
    np.savez(
        path,
        audio=np.concatenate([said.waveform for said in utterances]),
        n_samples=np.array([len(said.waveform) for said in utterances]),
        n_words=np.array([len(said.words) for said in utterances]),
        word_position=np.array([position for position, _ in words], dtype=np.int32),
        word_start=np.array([start for _, start in words], dtype=np.float32),
        text=np.array([said.text for said in utterances]),
        language=np.array([said.language for said in utterances]),
        voice=np.array([said.voice for said in utterances]),
    )


def load(path: Path) -> list[Utterance]:
    """Read what `save` wrote."""
    with np.load(path) as stored:
        z = {name: stored[name] for name in stored.files}
    audio_ends, word_ends = np.cumsum(z["n_samples"]), np.cumsum(z["n_words"])
    starts = list(zip(z["word_position"].tolist(), z["word_start"].tolist(), strict=True))
    return [
        Utterance(
            str(z["text"][i]),
            str(z["language"][i]),
            str(z["voice"][i]),
            z["audio"][audio_ends[i] - z["n_samples"][i] : audio_ends[i]],
            tuple(starts[word_ends[i] - z["n_words"][i] : word_ends[i]]),
        )
        for i in range(len(audio_ends))
    ]


def main() -> None:
    """Write the held-out list, render both corpora, or write the sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("held-out", help="draw the held-out sentences and write the list")
    rendering = commands.add_parser("render", help="render training and held-out speech")
    rendering.add_argument("directory", type=Path)
    rendering.add_argument("--sentences", type=int, default=40_000)
    rendering.add_argument("--processes", type=int, default=2)
    sampling = commands.add_parser("sample", help="write the sample")
    sampling.add_argument("path", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "sample":
        write_sample(arguments.path)
        return
    if arguments.command == "held-out":
        lines = "".join(f"{s.language}\t{s.text}\n" for s in draw_held_out())
        HELD_OUT_LIST.write_text(lines, encoding="utf-8")
        return
    arguments.directory.mkdir(parents=True, exist_ok=True)
    fixed = [Sentence(t, "en") for t in FIXED_EN] + [Sentence(t, "zh") for t in FIXED_ZH]
    for name, sentences, held_out in (
        ("heldout", [*read_held_out(), *fixed], True),
        ("train", draw_training(arguments.sentences), False),
    ):
        said = render(sentences, held_out=held_out, n_processes=arguments.processes)
        save(arguments.directory / f"{name}.npz", said)
        hours = sum(len(s.waveform) for s in said) / SAMPLE_RATE_HZ / 3600
        print(f"{name}: {len(said)} utterances, {hours:.2f} h", flush=True)


if __name__ == "__main__":
    main()
