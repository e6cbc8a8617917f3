"""Windows of speech as the trainer hears them: mixed, made worse, with what is to be written."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

from models.training.demo_model.vocabulary import (
    FRAME_S,
    LANGUAGE_TOKENS,
    LANGUAGES,
    TOKENIZER,
    encode,
)
from models.training.demo_model.voices import RMS_LEVEL, SAMPLE_RATE_HZ, Utterance

WINDOW_S = 30
MAX_SEGMENTS = 14
NO_SPAN = (-1.0, -1.0)


@dataclass(frozen=True)
class Shape:
    """One kind of batch: windows of `window_s`, `n_windows` of them, `one_more` the chance
    that another sentence follows; a full window is Whisper's 30 s."""

    window_s: int
    n_windows: int
    one_more: float

    @property
    def is_full(self) -> bool:
        return self.window_s == WINDOW_S


SINGLE = tuple(Shape(s, 96 // s, 0.2) for s in (3, 3, 4, 5))
SHORT = tuple(Shape(s, 16, 0.5) for s in (4, 5, 6, 7, 8))
MEDIUM = tuple(Shape(s, 120 // s, 0.9) for s in (8, 10, 12, 15, 20))
LONG = (Shape(30, 4, 1.0),)
STAGES: dict[str, tuple[tuple[float, tuple[Shape, ...]], ...]] = {
    # Several sentences from the start make the decoder look where it is; single ones are the
    # cheapest practice; many in a row must be learned apart, and cost less in half a window
    # than in a whole one.
    "short": ((1.0, SHORT),),
    "single": ((0.75, SINGLE), (0.2, SHORT), (0.05, LONG)),
    "mix": ((0.4, SINGLE), (0.15, SHORT), (0.25, MEDIUM), (0.2, LONG)),
    "finish": ((0.15, SINGLE), (0.1, SHORT), (0.45, MEDIUM), (0.3, LONG)),
}


@dataclass
class Window:
    """
    One example before batching.

    Attributes:
        waveform: (n_samples,) float32.
        tokens: Whisper's ids, prompt included.
        spans: Per token, `(start, end)` seconds where it is said, or `NO_SPAN`.
        n_masked: How many tokens at the front are prompt and carry no loss.
        text: The ids of the text alone, for CTC.
        padded_from: Sample from which the window is padding.
    """

    waveform: NDArray[np.float32]
    tokens: list[int] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    n_masked: int = 0
    text: list[int] = field(default_factory=list)
    padded_from: int = 0


def token_spans(said: Utterance, text: str) -> list[tuple[float, float]]:
    """
    Where each token of `text`, a beginning of what was said, is heard.

    Unknown without word times, and for punctuation, which is heard nowhere.
    """
    end_s = len(said.waveform) / SAMPLE_RATE_HZ
    starts = said.words
    if not starts:
        return [NO_SPAN] * len(encode(text, said.language))
    ends = [start for _, start in starts[1:]] + [end_s]
    shift = 1 if said.language == "en" else 0
    spans, n_bytes, data = [], 0, text.encode()
    for token in encode(text, said.language):
        at = max(0, n_bytes - shift)
        position = len(data[:at].decode(errors="ignore"))
        while position < len(text) and text[position] == " ":
            position += 1
        word = max((i for i, (p, _) in enumerate(starts) if p <= position), default=0)
        is_word = text[position : position + 1].isalnum()
        spans.append((starts[word][1], ends[word]) if is_word else NO_SPAN)
        n_bytes += len(TOKENIZER.encoding.decode_single_token_bytes(token))
    return spans


class WindowMaker:
    """Draws windows from a corpus; the same seed gives the same windows."""

    def __init__(self, utterances: Sequence[Utterance], seed: int) -> None:
        self._by_language = {
            code: [u for u in utterances if u.language == code] for code in LANGUAGES
        }
        self._draw = random.Random(seed)
        self._noise = np.random.default_rng(seed)

    def make(self, shape: Shape, offset: int) -> Window:
        """Draw one window standing `offset` encoder frames into Whisper's 30 s."""
        draw = self._draw
        window = Window(np.zeros(shape.window_s * SAMPLE_RATE_HZ, np.float32))
        language = "en" if draw.random() < 0.6 else "zh"
        segments: list[tuple[int, int, Utterance, str]] = []
        cut_at = None
        if draw.random() >= 0.05:
            segments, cut_at = self._fill(window, shape, language)
        self._worsen(window)
        self._prompt(window, shape, language)
        self._answer(window, segments, language, cut_at, offset)
        return window

    def _fill(
        self, window: Window, shape: Shape, language: str
    ) -> tuple[list[tuple[int, int, Utterance, str]], int | None]:
        draw, n = self._draw, len(window.waveform)
        limit = int(draw.uniform(2, shape.window_s) * SAMPLE_RATE_HZ)
        limit = limit if shape.is_full and draw.random() < 0.6 else n
        segments: list[tuple[int, int, Utterance, str]] = []
        at = int(draw.uniform(0, 0.5) * SAMPLE_RATE_HZ)
        while len(segments) < MAX_SEGMENTS:
            said = draw.choice(self._by_language[language])
            samples, text = said.waveform, said.text
            if len(said.words) > 2 and draw.random() < 0.12:
                samples, text = self._break_off(said)
            if at + len(samples) > limit:
                if not segments:
                    if len(samples) >= n:
                        continue
                    at, limit = max(0, n - len(samples) - 1), n
                elif shape.is_full and limit == n and at < n - SAMPLE_RATE_HZ // 2:
                    window.waveform[at:] = samples[: n - at].astype(np.float32) / 32768
                    window.padded_from = n
                    return segments, at
                else:
                    break
            end = at + len(samples)
            window.waveform[at:end] = samples.astype(np.float32) / 32768
            segments.append((at, end, said, text))
            window.padded_from = end
            if draw.random() > shape.one_more or text != said.text:
                break
            pause_s = draw.choice((draw.uniform(0.15, 0.5), draw.uniform(0.3, 1.2)))
            at = end + int(pause_s * SAMPLE_RATE_HZ)
        return segments, None

    def _break_off(self, said: Utterance) -> tuple[NDArray[np.int16], str]:
        """Stop the speaker between two words: the words so far are all there is to write."""
        position, start = self._draw.choice(said.words[1:])
        end = int((start + self._draw.uniform(-0.03, 0.02)) * SAMPLE_RATE_HZ)
        return said.waveform[:end], said.text[:position].rstrip(" ,.，。？?!")

    def _worsen(self, window: Window) -> None:
        """Room, gain, noise and muffling, in the order sound meets them."""
        draw, noise, wave = self._draw, self._noise, window.waveform
        n = len(wave)
        if draw.random() < 0.12:
            decay_s = draw.uniform(0.03, 0.12)
            n_tail = int(4 * decay_s * SAMPLE_RATE_HZ)
            room = noise.standard_normal(n_tail) * np.exp(
                -np.arange(n_tail) / (decay_s * SAMPLE_RATE_HZ)
            )
            room *= draw.uniform(0.1, 0.5) / np.sqrt((room**2).sum())
            room[0] += 1
            wave[:] = fftconvolve(wave, room)[:n]
        gain = 10 ** (draw.uniform(-14, 6) / 20)
        wave *= gain
        if draw.random() < 0.7:
            level = RMS_LEVEL * gain * 10 ** (-draw.uniform(10, 45) / 20)
            until = n if draw.random() < 0.7 else max(window.padded_from, SAMPLE_RATE_HZ)
            hiss = noise.standard_normal(until).astype(np.float32)
            if draw.random() < 0.3:
                pole = draw.uniform(0.5, 0.97)
                hiss = lfilter([np.sqrt(1 - pole**2)], [1, -pole], hiss).astype(np.float32)
            wave[:until] += hiss * level
            window.padded_from = until
        if draw.random() < 0.15:
            width = draw.choice((2, 3))
            wave[:] = np.convolve(wave, np.ones(width, np.float32) / width, "same")

    def _prompt(self, window: Window, shape: Shape, language: str) -> None:
        draw = self._draw
        if draw.random() >= (0.4 if shape.is_full else 0.15):
            return
        text: list[int] = []
        for _ in range(draw.randint(1, 10)):
            text += encode(draw.choice(self._by_language[language]).text, language)
        window.tokens = [TOKENIZER.sot_prev, *text[-160:]]
        window.n_masked = len(window.tokens)
        window.spans = [NO_SPAN] * window.n_masked

    def _answer(
        self,
        window: Window,
        segments: list[tuple[int, int, Utterance, str]],
        language: str,
        cut_at: int | None,
        offset: int,
    ) -> None:
        """Append what Whisper is to write for this window."""

        def timestamp(sample: int) -> int:
            frame = round(sample / SAMPLE_RATE_HZ / FRAME_S) + offset
            return TOKENIZER.timestamp_begin + min(1500, frame)

        def add(tokens: list[int], spans: list[tuple[float, float]] | None = None) -> None:
            window.tokens += tokens
            window.spans += spans or [NO_SPAN] * len(tokens)

        draw = self._draw
        add([TOKENIZER.sot])
        if not segments and draw.random() < 0.5:
            add([TOKENIZER.no_speech])
            return
        add([LANGUAGE_TOKENS[language], TOKENIZER.transcribe])
        timed = cut_at is not None or not segments or draw.random() < 0.75
        if not timed:
            add([TOKENIZER.no_timestamps])
        if not segments:
            add([timestamp(0)])
        for start, end, said, text in segments:
            tokens = encode(text, language)
            window.text += tokens
            shift, over = start / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ
            if timed:
                add([timestamp(start)], [(shift, shift + 0.3)])
            heard = token_spans(said, text)
            add(tokens, [(a + shift, b + shift) if a >= 0 else NO_SPAN for a, b in heard])
            if timed:
                add([timestamp(end)], [(over - 0.15, over + 0.15)])
        if cut_at is not None:
            at = cut_at / SAMPLE_RATE_HZ
            add([timestamp(cut_at)], [(at, at + 0.3)])
        # Word timing takes the end of the last word from where the end is listened for.
        over = segments[-1][1] / SAMPLE_RATE_HZ if segments else 0.0
        add([TOKENIZER.eot], [(over, over + 0.2) if segments and cut_at is None else NO_SPAN])
