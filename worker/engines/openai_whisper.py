"""Whisper by its own authors' code, in torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from whisper import Whisper, load_model
from whisper.audio import N_FRAMES, N_SAMPLES, log_mel_spectrogram, pad_or_trim
from whisper.decoding import DecodingOptions, DecodingResult
from whisper.model import ModelDimensions
from whisper.timing import find_alignment
from whisper.tokenizer import Tokenizer, get_tokenizer

from shared.transcript import Segment
from worker.engines.base import (
    BEAM_SIZE,
    BEST_OF,
    Chunk,
    DecodeOptions,
    Guess,
)
from worker.engines.whisper_text import (
    Decoded,
    TimedWord,
    give_words,
    make_segments,
)
from worker.models.compact import COMPACT_FILE, expand

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
        self._is_half = compute_type == "float16"
        self._model = _load(path, device)
        self._tokenizer = cache(self._make_tokenizer)

    @property
    def is_multilingual(self) -> bool:
        """See `Engine.is_multilingual`."""
        return bool(self._model.is_multilingual)

    def detect_language(self, waveform: NDArray[np.float32]) -> Guess:
        """See `Engine.detect_language`."""
        if not self.is_multilingual:
            return Guess("en", 1.0)
        _, probabilities = self._model.detect_language(self._features([waveform]))
        language = max(probabilities[0], key=probabilities[0].__getitem__)
        return Guess(language, float(probabilities[0][language]))

    def transcribe(self, chunks: Sequence[Chunk]) -> list[list[Segment]]:
        """See `Engine.transcribe`."""
        # One by one: with a beam, openai-whisper's attention takes a single chunk.
        return [self._transcribe_one(chunk) for chunk in chunks]

    def _transcribe_one(self, chunk: Chunk) -> list[Segment]:
        mel = self._features([chunk.waveform])
        result: DecodingResult = self._model.decode(mel, self._options(chunk.options))[0]
        tokenizer = self._tokenizer(chunk.options.language, chunk.options.task)
        decoded = Decoded(result.tokens, result.avg_logprob, result.no_speech_prob)
        segments = make_segments(chunk, decoded, tokenizer)
        if chunk.options.word_timestamps:
            return self._time_words(chunk, segments, mel[0], tokenizer)
        return segments

    def _options(self, options: DecodeOptions) -> DecodingOptions:
        return DecodingOptions(
            task=options.task,
            language=options.language,
            temperature=options.temperature,
            beam_size=None if options.temperature > 0 else BEAM_SIZE,
            best_of=BEST_OF if options.temperature > 0 else None,
            prompt=" " + options.prompt.strip() if options.prompt else None,
            fp16=self._is_half,
        )

    def _time_words(
        self, chunk: Chunk, segments: list[Segment], mel: torch.Tensor, tokenizer: Tokenizer
    ) -> list[Segment]:
        text = [t for s in segments for t in s.tokens if t < tokenizer.eot]
        n_frames = max(1, int(chunk.duration_s * 100))
        words = [
            TimedWord(w.word, len(w.tokens), float(w.start), float(w.end), float(w.probability))
            for w in find_alignment(self._model, tokenizer, text, mel, n_frames)
        ]
        return give_words(segments, words, tokenizer.eot, chunk.duration_s)

    def _features(self, waveforms: list[NDArray[np.float32]]) -> torch.Tensor:
        """(n, n_mels, 3000) of chunks padded with silence to 30 s, on the model's device."""
        mels = [
            log_mel_spectrogram(pad_or_trim(waveform, N_SAMPLES), self._model.dims.n_mels)
            for waveform in waveforms
        ]
        kind = torch.float16 if self._is_half else torch.float32
        return torch.stack(mels)[..., :N_FRAMES].to(self._model.device, kind)

    def _make_tokenizer(self, language: str, task: str) -> Tokenizer:
        return get_tokenizer(
            self.is_multilingual,
            num_languages=self._model.num_languages,
            language=language,
            task=task,
        )


def _load(path: Path, device: str) -> Whisper:
    if path.is_file():
        return load_model(str(path), device=device)
    checkpoint: dict[str, Any] = expand(path / COMPACT_FILE)
    model = Whisper(ModelDimensions(**checkpoint["dims"]))
    model.load_state_dict(checkpoint["model_state_dict"])
    heads = torch.zeros(model.dims.n_text_layer, model.dims.n_text_head, dtype=torch.bool)
    for layer, head in checkpoint["alignment_heads"]:
        heads[layer, head] = True
    model.register_buffer("alignment_heads", heads.to_sparse(), persistent=False)
    return model.to(device)
