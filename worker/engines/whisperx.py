"""whisperx's own pipeline, given our chunks instead of what its own search for speech finds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from faster_whisper.tokenizer import Tokenizer
from whisperx.asr import WhisperModel, load_model
from whisperx.vads import Vad

from worker.audio.constants import N_SAMPLES, SAMPLE_RATE_HZ
from worker.engines.asking import SuppressedTokens, earlier_tokens, patience, rows_alike
from worker.engines.base import Chunk, DecodeOptions, Decoding, Guess
from worker.engines.ctranslate2_output import (
    EncodedRows,
    features_of,
    guess_languages,
    make_tokenizer,
    output_of,
    word_timer,
)
from worker.engines.memory import memory_watched
from worker.engines.whisper_text import make_decoding

if TYPE_CHECKING:
    from numpy.typing import NDArray


class WhisperxEngine:
    """
    whisperx, with a CTranslate2 Whisper model.

    It always searches with beams and never draws samples.

    Args:
        path: Model directory with `model.bin`, `config.json` and `tokenizer.json`.
        device: `cpu`, `cuda` or `cuda:N`.
        compute_type: As CTranslate2 names them.
    """

    def __init__(self, path: Path, *, device: str, compute_type: str, threads: int) -> None:
        kind, _, index = device.partition(":")
        self._where = (path.name, device)
        self._chunks = _GivenChunks()
        self._model = _TellingModel(
            str(path),
            device=kind,
            device_index=int(index or 0),
            compute_type=compute_type,
            cpu_threads=threads,
            local_files_only=True,
        )
        self._generated = self._model.model = _Generated(self._model.model)
        _join_our_log()
        with redirect_stdout(StringIO()):  # it prints that our chunks are used
            self._pipeline = load_model(
                str(path),
                kind,
                device_index=int(index or 0),
                compute_type=compute_type,
                model=self._model,
                vad_model=self._chunks,
                asr_options={"without_timestamps": False},
            )
        # As in `FasterWhisperEngine`: the same spectrogram by any number of threads.
        extract = self._model.feature_extractor
        extract.mel_filters = extract.mel_filters.astype(np.float64)
        self._pipeline.preprocess = self._features  # it would fill chunks up with silence
        self._tokenizer = cache(self._make_tokenizer)
        self._suppressed = SuppressedTokens(self._tokenizer("en", "transcribe"))

    @property
    def is_multilingual(self) -> bool:
        """See `Engine.is_multilingual`."""
        return bool(self._model.model.is_multilingual)

    def detect_language(self, waveform: NDArray[np.float32]) -> Guess:
        """See `Engine.detect_language`."""
        if not self.is_multilingual:
            return Guess("en", 1.0)
        with memory_watched(*self._where):
            return self._guess(waveform[:N_SAMPLES])

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Decoding]:
        """See `Engine.transcribe`."""
        found: dict[int, Decoding] = {}
        # Segments tell the temperature they were written at.
        chunks = [replace(c, options=replace(c.options, temperature=0.0)) for c in chunks]
        with memory_watched(*self._where):
            languages = [self._language(chunk) for chunk in chunks]
            # whisperx takes one language and one prompt a call.
            keys = [
                (c.options.shared, c.options.prompt, c.options.context, guess.language)
                for c, guess in zip(chunks, languages, strict=True)
            ]
            for rows in rows_alike(keys):
                alike = self._transcribe_alike(
                    [chunks[i] for i in rows], [languages[i] for i in rows]
                )
                found |= zip(rows, alike, strict=True)
        return [found[row] for row in range(len(chunks))]

    def _transcribe_alike(self, chunks: list[Chunk], languages: list[Guess]) -> list[Decoding]:
        options, language = chunks[0].options, languages[0].language
        self._pipeline.options = self._asked(options)
        self._chunks.put([len(chunk.waveform) for chunk in chunks])
        self._pipeline.transcribe(
            np.concatenate([chunk.waveform for chunk in chunks]),
            batch_size=len(chunks),
            language=language,
            task=options.task,
        )
        tokenizer = self._tokenizer(language, options.task)
        rows, results = EncodedRows(self._generated.encoded), self._generated.results
        return [
            make_decoding(
                chunk,
                output_of(result, guess, options.length_penalty),
                tokenizer,
                word_timer(self._model, rows, row, tokenizer, chunk.duration_s),
            )
            for row, (chunk, result, guess) in enumerate(
                zip(chunks, results, languages, strict=True)
            )
        ]

    def _asked(self, options: DecodeOptions) -> Any:
        self._model.told = earlier_tokens(
            self._tokenizer("en", "transcribe"), options, self._model.max_length
        )
        suppressed = self._suppressed.of(options.suppress_tokens, options.suppress_numerals)
        return replace(
            self._pipeline.options,
            beam_size=options.beam_size,
            patience=patience(options),
            length_penalty=options.length_penalty,
            repetition_penalty=options.repetition_penalty,
            no_repeat_ngram_size=options.no_repeat_ngram_size,
            suppress_tokens=suppressed,
        )

    def _language(self, chunk: Chunk) -> Guess:
        if chunk.options.language is None and self.is_multilingual:
            return self._guess(chunk.waveform)
        return Guess(chunk.options.language or "en", 1.0)

    def _guess(self, waveform: NDArray[np.float32]) -> Guess:
        features = features_of(self._model, waveform)
        return guess_languages(self._model, self._model.encode(features))[0]

    def _features(self, chunk: dict[str, NDArray[np.float32]]) -> dict[str, torch.Tensor]:
        """What the pipeline batches: (n_mels, 3000) float32."""
        return {"inputs": torch.from_numpy(features_of(self._model, chunk["inputs"]))}

    def _make_tokenizer(self, language: str, task: str) -> Tokenizer:
        return make_tokenizer(self._model, language, task, name=self._where[0])


class _GivenChunks(Vad):  # type: ignore[misc]  # whisperx has no types
    """Stands where whisperx would look for speech: ours is found already."""

    def __init__(self) -> None:
        super().__init__(vad_onset=0.5)
        self._spans: list[dict[str, float]] = []

    def put(self, lengths: Sequence[int]) -> None:
        """Have chunks of so many samples, one after the other."""
        ends = np.cumsum([0, *lengths]).tolist()
        # whisperx cuts fractions of samples off: half a sample more, and none is lost.
        at = [(end + 0.5) / SAMPLE_RATE_HZ for end in ends]
        self._spans = [{"start": a, "end": b} for a, b in zip(at, at[1:], strict=False)]

    def __call__(self, audio: object) -> list[dict[str, float]]:
        return self._spans

    @staticmethod
    def preprocess_audio(audio: Any) -> Any:
        """As it is."""
        return audio

    @staticmethod
    def merge_chunks(
        segments: list[dict[str, float]], chunk_size: float, onset: float, offset: float | None
    ) -> list[dict[str, float]]:
        """As they are."""
        return segments


class _TellingModel(WhisperModel):  # type: ignore[misc]  # whisperx has no types
    """whisperx's model, told before a text what Longhand tells: cut where it is too long."""

    told: Sequence[int] = ()

    def get_prompt(
        self, tokenizer: Tokenizer, previous_tokens: list[int], *args: object, **options: Any
    ) -> list[int]:
        """The tokens a text is begun with."""
        return list(super().get_prompt(tokenizer, list(self.told), *args, **options))


class _Generated:
    """
    CTranslate2's model, keeping what it generates.

    whisperx hands on the text and drops the timestamps with the other tokens.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.encoded: Any = None
        self.results: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, encoded: Any, prompts: list[list[int]], **options: Any) -> list[Any]:
        """As asked, and the probability of silence beside it."""
        self.encoded = encoded
        self.results = self._model.generate(encoded, prompts, return_no_speech_prob=True, **options)
        return self.results


def _join_our_log() -> None:
    """whisperx writes to stdout by a handler of its own; what is worth it goes where ours goes."""
    log = logging.getLogger("whisperx")
    log.handlers[:] = [logging.NullHandler()]
    log.setLevel(logging.WARNING)
    log.propagate = True
