"""Whisper by CTranslate2, through faster-whisper."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from faster_whisper import WhisperModel

from worker.engines.asking import SuppressedTokens, earlier_tokens, rows_alike
from worker.engines.base import Chunk, DecodeOptions, Decoding, Guess
from worker.engines.ctranslate2_output import (
    EncodedRows,
    features_of,
    guess_languages,
    make_tokenizer,
    output_of,
    sampling,
    word_timer,
)
from worker.engines.memory import memory_watched
from worker.engines.whisper_text import make_decoding

if TYPE_CHECKING:
    from faster_whisper.tokenizer import Tokenizer
    from numpy.typing import NDArray

_ANY = "en"
"""A language for what does not depend on it."""


class FasterWhisperEngine:
    """
    One CTranslate2 Whisper model.

    Args:
        path: Model directory with `model.bin`, `config.json` and `tokenizer.json`.
        device: `cpu`, `cuda` or `cuda:N`.
        compute_type: As CTranslate2 names them.
    """

    def __init__(self, path: Path, *, device: str, compute_type: str, threads: int) -> None:
        kind, _, index = device.partition(":")
        self._where = (path.name, device)
        self._model = WhisperModel(
            str(path),
            device=kind,
            device_index=int(index or 0),
            compute_type=compute_type,
            cpu_threads=threads,
            local_files_only=True,
        )
        # numpy's product of float32 matrices depends on how many threads it has, and int8
        # makes another word of the difference. In float64 what differs is rounded away.
        extract = self._model.feature_extractor
        extract.mel_filters = extract.mel_filters.astype(np.float64)
        self._last_marks: list[bytes] = []
        self._last_encoded: Any = None
        self._tokenizer = cache(self._make_tokenizer)
        self._suppressed = SuppressedTokens(self._tokenizer(_ANY, "transcribe"))

    @property
    def is_multilingual(self) -> bool:
        """See `Engine.is_multilingual`."""
        return bool(self._model.model.is_multilingual)

    def detect_language(self, waveform: NDArray[np.float32]) -> Guess:
        """See `Engine.detect_language`."""
        if not self.is_multilingual:
            return Guess("en", 1.0)
        with memory_watched(*self._where):
            encoded = self._model.encode(self._features([waveform]))
            return guess_languages(self._model, encoded)[0]

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Decoding]:
        """See `Engine.transcribe`."""
        told = [self._told(chunk.options) for chunk in chunks]
        # CTranslate2 takes prompts of one length a call. How long they are does not depend on
        # the language, which is known only when a chunk is encoded.
        keys = [(len(t), c.options.shared) for t, c in zip(told, chunks, strict=True)]
        found: dict[int, Decoding] = {}
        with memory_watched(*self._where):
            for rows in rows_alike(keys):
                alike = self._transcribe_alike([chunks[i] for i in rows], [told[i] for i in rows])
                found |= zip(rows, alike, strict=True)
        return [found[row] for row in range(len(chunks))]

    def _transcribe_alike(self, chunks: list[Chunk], told: list[list[int]]) -> list[Decoding]:
        encoded = self._encoded([chunk.waveform for chunk in chunks])
        options = chunks[0].options
        languages = self._languages(chunks, encoded)
        tokenizers = [self._tokenizer(guess.language, options.task) for guess in languages]
        prompts = [self._model.get_prompt(t, b) for t, b in zip(tokenizers, told, strict=True)]
        results = self._model.model.generate(
            encoded,
            prompts,
            max_length=self._model.max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=self._suppressed.of(options.suppress_tokens, options.suppress_numerals),
            max_initial_timestamp_index=50,
            length_penalty=options.length_penalty,
            repetition_penalty=options.repetition_penalty,
            no_repeat_ngram_size=options.no_repeat_ngram_size,
            **sampling(options),
        )
        rows = EncodedRows(encoded)
        return [
            make_decoding(
                chunk,
                output_of(result, language, options.length_penalty),
                tokenizer,
                word_timer(self._model, rows, row, tokenizer, chunk.duration_s),
            )
            for row, (chunk, result, language, tokenizer) in enumerate(
                zip(chunks, results, languages, tokenizers, strict=True)
            )
        ]

    def _languages(self, chunks: list[Chunk], encoded: Any) -> list[Guess]:
        asked = [chunk.options.language for chunk in chunks]
        if None not in asked or not self.is_multilingual:
            return [Guess(language or "en", 1.0) for language in asked]
        heard = guess_languages(self._model, encoded)
        return [Guess(a, 1.0) if a else guess for a, guess in zip(asked, heard, strict=True)]

    def _encoded(self, waveforms: list[NDArray[np.float32]]) -> Any:
        """Chunks as the decoder takes them; those of the last call are kept for a second look."""
        marks = [sha256(waveform.tobytes()).digest() for waveform in waveforms]
        if marks != self._last_marks:
            self._last_encoded = self._model.encode(self._features(waveforms))
            self._last_marks = marks
        return self._last_encoded

    def _features(self, waveforms: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(n, n_mels, 3000) float32."""
        return np.stack([features_of(self._model, waveform) for waveform in waveforms])

    def _told(self, options: DecodeOptions) -> list[int]:
        tokenizer = self._tokenizer(_ANY, "transcribe")
        return earlier_tokens(tokenizer, options, self._model.max_length)

    def _make_tokenizer(self, language: str, task: str) -> Tokenizer:
        return make_tokenizer(self._model, language, task, name=self._where[0])
