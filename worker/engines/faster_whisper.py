"""Whisper by CTranslate2, through faster-whisper."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from worker.engines.base import Chunk, DecodeOptions, Decoding, Guess
from worker.engines.ctranslate2_engine import CTranslate2Engine, features_of, guess_languages
from worker.engines.memory import memory_watched
from worker.engines.tokenizer import patience

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FasterWhisperEngine(CTranslate2Engine):
    """faster-whisper's model, asked for whole batches: see `CTranslate2Engine`."""

    _last_digests: tuple[bytes, ...] = ()
    _last_encoded: Any = None

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Decoding]:
        """See `Engine.transcribe`."""
        prompts = [self._prompt_tokens(chunk.options) for chunk in chunks]
        # CTranslate2 takes only prompts of one length in a call. The length does not depend on the
        # language, which may be known only once the chunk is encoded.
        keys = [(len(p), c.options.shared) for p, c in zip(prompts, chunks, strict=True)]
        with memory_watched(*self._where):
            return self._transcribe_groups(chunks, prompts, keys)

    def _transcribe_alike(self, chunks: list[Chunk], found: list[list[int]]) -> list[Decoding]:
        """See `CTranslate2Engine`; `found` are the tokens before the text."""
        encoded = self._encode([chunk.waveform for chunk in chunks])
        options = chunks[0].options
        languages = self._languages(chunks, encoded)
        tokenizers = [self._tokenizer(guess.language, options.task) for guess in languages]
        results = self._model.model.generate(
            encoded,
            [self._model.get_prompt(t, p) for t, p in zip(tokenizers, found, strict=True)],
            max_length=self._model.max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
            suppress_tokens=self._suppressed_tokens(options),
            max_initial_timestamp_index=50,
            length_penalty=options.length_penalty,
            repetition_penalty=options.repetition_penalty,
            no_repeat_ngram_size=options.no_repeat_ngram_size,
            **_sampling(options),
        )
        return self._decodings(chunks, languages, encoded, results)

    def _languages(self, chunks: list[Chunk], encoded: Any) -> list[Guess]:
        asked = [chunk.options.language for chunk in chunks]
        if None not in asked or not self.is_multilingual:
            return [Guess(language or "en", 1.0) for language in asked]
        heard = guess_languages(self._model, encoded)
        return [Guess(a, 1.0) if a else guess for a, guess in zip(asked, heard, strict=True)]

    def _encode(self, waveforms: list[NDArray[np.float32]]) -> Any:
        """Encode chunks; the last batch is kept, since it may be decoded a second time."""
        digests = tuple(sha256(waveform.tobytes()).digest() for waveform in waveforms)
        if digests != self._last_digests:
            features = np.stack([features_of(self._model, waveform) for waveform in waveforms])
            self._last_encoded = self._model.encode(features)
            self._last_digests = digests
        return self._last_encoded


def _sampling(options: DecodeOptions) -> dict[str, Any]:
    """Beam search at temperature 0; above it, samples are drawn and the best is kept."""
    if options.temperature > 0:
        return {
            "beam_size": 1,
            "num_hypotheses": options.best_of,
            "sampling_topk": 0,
            "sampling_temperature": options.temperature,
        }
    return {"beam_size": options.beam_size, "patience": patience(options)}
