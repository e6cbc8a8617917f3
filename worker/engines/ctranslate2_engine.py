"""What the engines that run a model of CTranslate2 have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from worker.audio.constants import FRAMES_PER_SECOND, N_FRAMES, N_SAMPLES
from worker.engines.base import Chunk, DecodeOptions, Decoding, Guess
from worker.engines.memory import memory_watched
from worker.engines.timed_words import TimedWord
from worker.engines.tokenizer import (
    WHISPERS_OWN,
    SuppressedTokens,
    group_rows,
    language_not_known,
    prompt_tokens,
)
from worker.engines.whisper_text import Output, make_decoding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from worker.engines.live_decoder import LiveDecoder

_WORKERS = 2


class CTranslate2Engine(ABC):
    """
    One Whisper model of CTranslate2.

    Args:
        path: Model directory with `model.bin`, `config.json` and `tokenizer.json`.
        device: `cpu`, `cuda` or `cuda:N`.
        compute_type: A number format, as CTranslate2 names it.
        threads: CPU threads.
        model_class: Loads the model.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: str,
        compute_type: str,
        threads: int,
        model_class: type[WhisperModel] = WhisperModel,
    ) -> None:
        kind, _, index = device.partition(":")
        self._where = (path.name, device)
        self._model = model_class(
            str(path),
            device=kind,
            device_index=int(index or 0),
            compute_type=compute_type,
            cpu_threads=threads,
            # A live session does not wait until a batch of chunks is done. The weights are shared.
            num_workers=_WORKERS,
            local_files_only=True,
        )
        # numpy's product of float32 matrices depends on how many threads it has, and in int8 such
        # a difference may change a word. In float64 it is rounded away.
        extract = self._model.feature_extractor
        extract.mel_filters = extract.mel_filters.astype(np.float64)
        self._tokenizer = cache(self._make_tokenizer)
        # Special tokens do not depend on the language.
        self._any_tokenizer = self._tokenizer("en", "transcribe")
        self._suppressed = SuppressedTokens(self._any_tokenizer)

    @property
    def is_multilingual(self) -> bool:
        """See `Engine.is_multilingual`."""
        return bool(self._model.model.is_multilingual)

    def detect_language(self, waveform: NDArray[np.float32]) -> Guess:
        """See `Engine.detect_language`."""
        if not self.is_multilingual:
            return Guess("en", 1.0)
        with memory_watched(*self._where):
            return self._guess(waveform)

    def live_decoder(self) -> LiveDecoder:
        """A decoder for live sessions, with this model."""
        from worker.engines.live_decoder import LiveDecoder

        suppressed = self._suppressed.of((WHISPERS_OWN,), False)
        return LiveDecoder(self._model, self._tokenizer, suppressed)

    @abstractmethod
    def transcribe(self, chunks: Sequence[Chunk]) -> list[Decoding]:
        """See `Engine.transcribe`."""

    @abstractmethod
    def _transcribe_alike(self, chunks: list[Chunk], found: list[Any]) -> list[Decoding]:
        """Decode chunks in one pass; `found` is what the engine knows about each already."""

    def _transcribe_groups(
        self, chunks: Sequence[Chunk], found: Sequence[Any], keys: Sequence[Hashable]
    ) -> list[Decoding]:
        """Decode the chunks of each key in a pass of its own; returns them in order."""
        decodings: dict[int, Decoding] = {}
        for rows in group_rows(keys):
            alike = self._transcribe_alike([chunks[i] for i in rows], [found[i] for i in rows])
            decodings |= zip(rows, alike, strict=True)
        return [decodings[row] for row in range(len(chunks))]

    def _guess(self, waveform: NDArray[np.float32]) -> Guess:
        features = features_of(self._model, waveform)
        return guess_languages(self._model, self._model.encode(features))[0]

    def _prompt_tokens(self, options: DecodeOptions) -> list[int]:
        return prompt_tokens(self._any_tokenizer, options, self._model.max_length)

    def _suppressed_tokens(self, options: DecodeOptions) -> list[int]:
        return self._suppressed.of(options.suppress_tokens, options.suppress_numerals)

    def _decodings(
        self, chunks: Sequence[Chunk], languages: Sequence[Guess], encoded: Any, results: Any
    ) -> list[Decoding]:
        """What CTranslate2 generated for a batch; `encoded` is (n_chunks, 1500, width)."""
        rows = EncodedRows(encoded)
        decodings = []
        for row, (chunk, language, result) in enumerate(
            zip(chunks, languages, results, strict=True)
        ):
            tokenizer = self._tokenizer(language.language, chunk.options.task)
            output = output_of(result, language, chunk.options.length_penalty)
            time_words = word_timer(self._model, rows, row, tokenizer, chunk.duration_s)
            decodings.append(make_decoding(chunk, output, tokenizer, time_words))
        return decodings

    def _make_tokenizer(self, language: str, task: str) -> Tokenizer:
        hub = self._model.hf_tokenizer
        if self.is_multilingual and hub.token_to_id(f"<|{language}|>") is None:
            raise language_not_known(language, self._where[0])
        return Tokenizer(hub, self.is_multilingual, task=task, language=language)


def features_of(model: WhisperModel, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    The log-mel spectrogram of one chunk: (n_mels, 3000) float32.

    Frames after its end are 0, as in the programs of openai-whisper and faster-whisper. Padded with
    silence instead, Chinese clips had 13 wrong characters of 61, not 8.

    Args:
        waveform: (n_samples,) float32, at most 30 s.
    """
    frames = model.feature_extractor(waveform[:N_SAMPLES])[:, :N_FRAMES]
    padded = np.pad(frames, ((0, 0), (0, N_FRAMES - frames.shape[1])))
    return padded.astype(np.float32)


def guess_languages(model: WhisperModel, encoded: Any) -> list[Guess]:
    """The language of each encoded chunk."""
    best = [row[0] for row in model.model.detect_language(encoded)]
    return [Guess(token[2:-2], float(probability)) for token, probability in best]


def output_of(result: Any, language: Guess, length_penalty: float) -> Output:
    """What CTranslate2 generated for one chunk."""
    tokens = result.sequences_ids[0]
    # CTranslate2's score is the sum over the tokens, divided by their number to the power of the
    # penalty. Whisper takes the mean and counts the end token too.
    total = result.scores[0] * len(tokens) ** length_penalty
    return Output(tokens, total / (len(tokens) + 1), result.no_speech_prob, language)


class EncodedRows:
    """The encoded chunks of a batch, one at a time."""

    def __init__(self, encoded: Any) -> None:
        self._encoded = encoded

    def row(self, row: int) -> Any:
        """(1, 1500, width) of one chunk."""
        import ctranslate2

        return ctranslate2.StorageView.from_array(np.ascontiguousarray(self._rows[row : row + 1]))

    @cached_property
    def _rows(self) -> Any:
        import ctranslate2

        rows = self._encoded.to_device(ctranslate2.Device.cpu)
        if rows.dtype == ctranslate2.DataType.bfloat16:  # numpy has no such format
            rows = rows.to(ctranslate2.DataType.float32)
        return np.asarray(rows)


def word_timer(
    model: WhisperModel, rows: EncodedRows, row: int, tokenizer: Tokenizer, duration_s: float
) -> Callable[[list[int]], list[TimedWord]]:
    """Returns a function that times the words of one chunk by the model's cross-attention."""

    def time_words(tokens: list[int]) -> list[TimedWord]:
        # One text a call: in a batch the shorter texts are padded, which in int8 changes the
        # probabilities of their words.
        n_frames = max(1, int(duration_s * FRAMES_PER_SECOND))
        [words] = model.find_alignment(tokenizer, [tokens], rows.row(row), n_frames)
        return [_timed(word) for word in words]

    return time_words


def _timed(word: dict[str, Any]) -> TimedWord:
    return TimedWord(
        word["word"],
        len(word["tokens"]),
        float(word["start"]),
        float(word["end"]),
        float(word["probability"]),
    )
