"""whisperx's own pipeline, which gets our chunks and does not look for speech itself."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from whisperx.asr import WhisperModel, load_model
from whisperx.vads import Vad

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.engines.base import Chunk, DecodeOptions, Decoding, Guess
from worker.engines.ctranslate2_engine import CTranslate2Engine, features_of
from worker.engines.memory import memory_watched
from worker.engines.tokenizer import patience

if TYPE_CHECKING:
    from faster_whisper.tokenizer import Tokenizer
    from numpy.typing import NDArray


class WhisperxEngine(CTranslate2Engine):
    """whisperx, which always searches with beams and draws no samples: see `CTranslate2Engine`."""

    def __init__(self, path: Path, *, device: str, compute_type: str, threads: int) -> None:
        super().__init__(
            path,
            device=device,
            compute_type=compute_type,
            threads=threads,
            model_class=_PromptedModel,
        )
        self._chunks = _GivenChunks()
        self._generated = self._model.model = _Generated(self._model.model)
        _join_our_log()
        kind, _, index = device.partition(":")
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
        self._pipeline.preprocess = self._features  # its own pads chunks with silence

    def transcribe(self, chunks: Sequence[Chunk]) -> list[Decoding]:
        """See `Engine.transcribe`."""
        # A segment says at which temperature it was written: here always 0.
        chunks = [replace(c, options=replace(c.options, temperature=0.0)) for c in chunks]
        with memory_watched(*self._where):
            languages = [self._language(chunk) for chunk in chunks]
            # whisperx takes one language and one prompt in a call.
            keys = [
                (c.options.shared, c.options.prompt, c.options.context, guess.language)
                for c, guess in zip(chunks, languages, strict=True)
            ]
            return self._transcribe_groups(chunks, languages, keys)

    def _transcribe_alike(self, chunks: list[Chunk], found: list[Guess]) -> list[Decoding]:
        """See `CTranslate2Engine`; `found` are the languages, all the same."""
        options = chunks[0].options
        self._model.prompt_tokens = self._prompt_tokens(options)
        self._pipeline.options = self._search_options(options)
        self._chunks.put([len(chunk.waveform) for chunk in chunks])
        self._pipeline.transcribe(
            np.concatenate([chunk.waveform for chunk in chunks]),
            batch_size=len(chunks),
            language=found[0].language,
            task=options.task,
        )
        generated = self._generated
        return self._decodings(chunks, found, generated.encoded, generated.results)

    def _search_options(self, options: DecodeOptions) -> Any:
        return replace(
            self._pipeline.options,
            beam_size=options.beam_size,
            patience=patience(options),
            length_penalty=options.length_penalty,
            repetition_penalty=options.repetition_penalty,
            no_repeat_ngram_size=options.no_repeat_ngram_size,
            suppress_tokens=self._suppressed_tokens(options),
        )

    def _language(self, chunk: Chunk) -> Guess:
        if chunk.options.language is None and self.is_multilingual:
            return self._guess(chunk.waveform)
        return Guess(chunk.options.language or "en", 1.0)

    def _features(self, chunk: dict[str, NDArray[np.float32]]) -> dict[str, torch.Tensor]:
        """What the pipeline puts into batches: (n_mels, 3000) float32."""
        return {"inputs": torch.from_numpy(features_of(self._model, chunk["inputs"]))}


class _GivenChunks(Vad):  # type: ignore[misc]  # whisperx has no types
    """Takes the place of whisperx's search for speech: gives it the chunks that we found."""

    def __init__(self) -> None:
        super().__init__(vad_onset=0.5)
        self._spans: list[dict[str, float]] = []

    def put(self, lengths: Sequence[int]) -> None:
        """Give chunks of so many samples next, one after the other."""
        ends = np.cumsum([0, *lengths]).tolist()
        # whisperx rounds times down to whole samples: half a sample more, and none is lost.
        at = [(end + 0.5) / SAMPLE_RATE_HZ for end in ends]
        self._spans = [{"start": a, "end": b} for a, b in zip(at, at[1:], strict=False)]

    def __call__(self, audio: object) -> list[dict[str, float]]:
        return self._spans

    @staticmethod
    def preprocess_audio(audio: Any) -> Any:
        """Leave it as it is."""
        return audio

    @staticmethod
    def merge_chunks(
        segments: list[dict[str, float]], chunk_size: float, onset: float, offset: float | None
    ) -> list[dict[str, float]]:
        """Leave them as they are."""
        return segments


class _PromptedModel(WhisperModel):  # type: ignore[misc]  # whisperx has no types
    """whisperx's model with our prompt, which is cut where it is too long."""

    prompt_tokens: Sequence[int] = ()

    def get_prompt(
        self, tokenizer: Tokenizer, previous_tokens: list[int], *args: object, **options: Any
    ) -> list[int]:
        """The tokens before the text."""
        return list(super().get_prompt(tokenizer, list(self.prompt_tokens), *args, **options))


class _Generated:
    """
    CTranslate2's model. It keeps what it generates.

    whisperx itself passes on the text only, without timestamps and other tokens.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.encoded: Any = None
        self.results: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, encoded: Any, prompts: list[list[int]], **options: Any) -> list[Any]:
        """Generate as asked, with the probability of silence beside it."""
        self.encoded = encoded
        self.results = self._model.generate(encoded, prompts, return_no_speech_prob=True, **options)
        return self.results


def _join_our_log() -> None:
    """Send the warnings of whisperx, which has a handler of its own for stdout, to our log."""
    log = logging.getLogger("whisperx")
    log.handlers[:] = [logging.NullHandler()]
    log.setLevel(logging.WARNING)
    log.propagate = True
