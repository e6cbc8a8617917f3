"""Whisper by the code of its authors, in torch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import torch
from whisper import _ALIGNMENT_HEADS, Whisper
from whisper.audio import N_FFT, log_mel_spectrogram, pad_or_trim
from whisper.decoding import DecodingOptions, DecodingResult, DecodingTask
from whisper.model import ModelDimensions
from whisper.timing import find_alignment
from whisper.tokenizer import LANGUAGES, Tokenizer, get_tokenizer

from worker.audio.constants import FRAMES_PER_SECOND, HOP_LENGTH, N_FRAMES, N_SAMPLES
from worker.engines.base import Chunk, DecodeOptions, Decoding, Guess
from worker.engines.compact import COMPACT_FILE, expand
from worker.engines.memory import memory_watched
from worker.engines.penalties import LengthRanker, NoRepeatedRun, RepetitionPenalty
from worker.engines.timed_words import TimedWord
from worker.engines.tokenizer import (
    SuppressedTokens,
    language_not_known,
    patience,
    prompt_tokens,
)
from worker.engines.whisper_text import Output, make_decoding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OpenaiWhisperEngine:
    """
    One openai-whisper model.

    Args:
        path: A checkpoint file, or a directory with a compact checkpoint.
        device: `cpu`, `cuda` or `cuda:N`.
        compute_type: `float32`, or `float16` on a GPU.
    """

    def __init__(self, path: Path, *, device: str, compute_type: str, threads: int) -> None:
        torch.set_num_threads(threads)
        self._where = (path.stem, device)
        self._is_half = compute_type == "float16"
        self._model = _load(path, device)
        self._tokenizer = cache(self._make_tokenizer)
        self._suppressed = SuppressedTokens(self._tokenizer("en", "transcribe"))

    @property
    def is_multilingual(self) -> bool:
        """See `Engine.is_multilingual`."""
        return bool(self._model.is_multilingual)

    def detect_language(self, waveform: NDArray[np.float32]) -> Guess:
        """See `Engine.detect_language`."""
        with memory_watched(*self._where):
            return self._guess(self._encoded(self._features(waveform)))

    def _guess(self, encoded: torch.Tensor) -> Guess:
        if not self.is_multilingual:
            return Guess("en", 1.0)
        _, probabilities = self._model.detect_language(encoded)
        language = max(probabilities[0], key=probabilities[0].__getitem__)
        return Guess(language, float(probabilities[0][language]))

    def _encoded(self, mel: torch.Tensor) -> torch.Tensor:
        """The encoder's output, (1, 1500, width)."""
        with torch.inference_mode():
            encoded: torch.Tensor = self._model.encoder(mel[None])
        return encoded

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Decoding]:
        """See `Engine.transcribe`."""
        with memory_watched(*self._where):
            # One by one: with beam search openai-whisper decodes one chunk at a time.
            return [self._transcribe_one(chunk) for chunk in chunks]

    def _transcribe_one(self, chunk: Chunk) -> Decoding:
        asked = chunk.options.language
        if asked is not None:  # raises if the model does not know it
            self._tokenizer(asked, chunk.options.task)
        mel = self._features(chunk.waveform)
        encoded = self._encoded(mel)
        language = Guess(asked, 1.0) if asked else self._guess(encoded)
        options = replace(chunk.options, language=language.language)
        if options.temperature > 0:  # the same audio always gives the same text
            torch.manual_seed(crc32(chunk.waveform.tobytes()))
        result: DecodingResult = self._task(options).run(encoded)[0]
        output = Output(result.tokens, result.avg_logprob, result.no_speech_prob, language)
        tokenizer = self._tokenizer(language.language, options.task)
        time_words = partial(self._time_words, mel, tokenizer, chunk.duration_s)
        return make_decoding(chunk, output, tokenizer, time_words)

    def _task(self, options: DecodeOptions) -> DecodingTask:
        """openai-whisper's task for one chunk, with rules that its own options lack."""
        task = DecodingTask(self._model, self._options(options))
        task.sequence_ranker = LengthRanker(options.length_penalty)
        added: list[RepetitionPenalty | NoRepeatedRun] = []
        if options.repetition_penalty != 1.0:
            added.append(RepetitionPenalty(options.repetition_penalty, task.sample_begin))
        if options.no_repeat_ngram_size:
            added.append(NoRepeatedRun(options.no_repeat_ngram_size, task.sample_begin))
        # Before Whisper's own rules, which must be applied last, above all those of timestamps.
        task.logit_filters[:0] = added
        return task

    def _options(self, options: DecodeOptions) -> DecodingOptions:
        is_drawn = options.temperature > 0
        tokenizer = self._tokenizer("en", "transcribe")
        return DecodingOptions(
            task=options.task,
            language=options.language if self.is_multilingual else "en",
            temperature=options.temperature,
            beam_size=None if is_drawn else options.beam_size,
            best_of=options.best_of if is_drawn else None,
            patience=None if is_drawn else patience(options),
            prompt=prompt_tokens(tokenizer, options, self._model.dims.n_text_ctx),
            suppress_tokens=self._suppressed.of(options.suppress_tokens, options.suppress_numerals),
            fp16=self._is_half,
        )

    def _time_words(
        self, mel: torch.Tensor, tokenizer: Tokenizer, duration_s: float, tokens: list[int]
    ) -> list[TimedWord]:
        n_frames = max(1, int(duration_s * FRAMES_PER_SECOND))
        return [
            TimedWord(w.word, len(w.tokens), float(w.start), float(w.end), float(w.probability))
            for w in find_alignment(self._model, tokenizer, tokens, mel, n_frames)
        ]

    def _features(self, waveform: NDArray[np.float32]) -> torch.Tensor:
        """Log-mel spectrogram, (n_mels, 3000), on the model's device; 0 after the chunk's end."""
        n_mels = self._model.dims.n_mels
        n_samples = min(len(waveform), N_SAMPLES)
        padding = max(HOP_LENGTH, N_FFT - n_samples)  # torch needs at least one window
        mel = log_mel_spectrogram(waveform[:n_samples], n_mels, padding=padding)
        kind = torch.float16 if self._is_half else torch.float32
        padded: torch.Tensor = pad_or_trim(mel[:, : n_samples // HOP_LENGTH + 1], N_FRAMES)
        return padded.to(self._model.device, kind)

    def _make_tokenizer(self, language: str, task: str) -> Tokenizer:
        if language not in list(LANGUAGES)[: self._model.num_languages]:
            raise language_not_known(language, self._where[0])
        return get_tokenizer(
            self.is_multilingual,
            num_languages=self._model.num_languages,
            language=language,
            task=task,
        )


def _load(path: Path, device: str) -> Whisper:
    checkpoint: dict[str, Any] = (
        torch.load(path, map_location="cpu", weights_only=True)
        if path.is_file()
        else expand(path / COMPACT_FILE)
    )
    model = Whisper(ModelDimensions(**checkpoint["dims"]))
    model.load_state_dict(checkpoint["model_state_dict"])
    heads = checkpoint.get("alignment_heads")
    if heads:
        _set_alignment_heads(model, heads)
    elif path.stem in _ALIGNMENT_HEADS:  # openai-whisper's own checkpoints do not hold them
        with suppress(RuntimeError):  # an own model of another size than its name says
            model.set_alignment_heads(_ALIGNMENT_HEADS[path.stem])
    return model.to(device)


def _set_alignment_heads(model: Whisper, heads: Sequence[Sequence[int]]) -> None:
    mask = torch.zeros(model.dims.n_text_layer, model.dims.n_text_head, dtype=torch.bool)
    for layer, head in heads:
        mask[layer, head] = True
    model.register_buffer("alignment_heads", mask.to_sparse(), persistent=False)
