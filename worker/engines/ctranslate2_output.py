"""CTranslate2's searches and what they give, read the same way by every engine that uses it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from worker.audio.constants import FRAMES_PER_SECOND, N_FRAMES, N_SAMPLES
from worker.engines.asking import language_not_known, patience
from worker.engines.base import DecodeOptions, Guess
from worker.engines.timed_words import TimedWord
from worker.engines.whisper_text import Output

if TYPE_CHECKING:
    from faster_whisper import WhisperModel
    from faster_whisper.tokenizer import Tokenizer
    from numpy.typing import NDArray


def features_of(model: WhisperModel, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    The log-mel spectrogram of one chunk: (n_mels, 3000) float32.

    Frames after its end are 0, as openai-whisper's and faster-whisper's own programs fill them up.
    Silence would be another sound there: Chinese clips had 13 wrong characters of 61, instead of 8.

    Args:
        waveform: (n_samples,) float32, at most 30 s.
    """
    frames = model.feature_extractor(waveform[:N_SAMPLES])[:, :N_FRAMES]
    padded = np.pad(frames, ((0, 0), (0, N_FRAMES - frames.shape[1])))
    return padded.astype(np.float32)


def sampling(options: DecodeOptions) -> dict[str, Any]:
    """Beams at temperature 0, above it samples of which the best is kept."""
    if options.temperature > 0:
        return {
            "beam_size": 1,
            "num_hypotheses": options.best_of,
            "sampling_topk": 0,
            "sampling_temperature": options.temperature,
        }
    return {"beam_size": options.beam_size, "patience": patience(options)}


def make_tokenizer(model: WhisperModel, language: str, task: str, *, name: str) -> Tokenizer:
    """
    The tokenizer for what is said in a language.

    Raises:
        EngineFailed: The model, called `name`, does not know the language.
    """
    from faster_whisper.tokenizer import Tokenizer

    is_multilingual = model.model.is_multilingual
    if is_multilingual and model.hf_tokenizer.token_to_id(f"<|{language}|>") is None:
        raise language_not_known(language, name)
    return Tokenizer(model.hf_tokenizer, is_multilingual, task=task, language=language)


def guess_languages(model: WhisperModel, encoded: Any) -> list[Guess]:
    """The language of each encoded chunk."""
    best = [row[0] for row in model.model.detect_language(encoded)]
    return [Guess(token[2:-2], float(probability)) for token, probability in best]


def output_of(result: Any, language: Guess, length_penalty: float) -> Output:
    """What CTranslate2 generated for one chunk."""
    tokens = result.sequences_ids[0]
    # CTranslate2's score is a sum over the tokens, divided by their number to the power of the
    # penalty; Whisper takes the mean and counts the end token too.
    total = result.scores[0] * len(tokens) ** length_penalty
    return Output(tokens, total / (len(tokens) + 1), result.no_speech_prob, language)


class EncodedRows:
    """The chunks of an encoded batch, one by one."""

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
        if rows.dtype == ctranslate2.DataType.bfloat16:  # which numpy does not have
            rows = rows.to(ctranslate2.DataType.float32)
        return np.asarray(rows)


def word_timer(
    model: WhisperModel, rows: EncodedRows, row: int, tokenizer: Tokenizer, duration_s: float
) -> Callable[[list[int]], list[TimedWord]]:
    """A function that times the words of one chunk by the model's cross-attention."""

    def time_words(tokens: list[int]) -> list[TimedWord]:
        # One by one: side by side, the shorter texts are padded, and in int8 that moves the
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
