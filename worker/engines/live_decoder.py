"""Decodes what was just said: a few seconds of audio, with an encoder that reads no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from worker.audio.constants import FRAMES_PER_SECOND, N_SAMPLES, SAMPLE_RATE_HZ
from worker.engines.base import Guess
from worker.engines.ctranslate2_engine import guess_languages
from worker.engines.timed_words import TimedWord, join_parts, merge_punctuation

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TOKENS_PER_S = 7
_FEWEST_TOKENS, _MOST_TOKENS = 10, 160
_MOST_PROMPT_TOKENS = 200
_SAMPLES_PER_POSITION = 320

_SHORTEST_WORD_S, _LETTER_S = 0.25, 0.085
"""A word takes at most so long, and so much longer for each letter: the rest is a pause."""


@dataclass(frozen=True)
class LiveTask:
    """
    Some seconds of a live session to be decoded.

    Attributes:
        waveform: (n_samples,) float32, mono, 16 kHz, at most 29 s.
        language: A Whisper code; None to detect it.
        prefix: Tokens of text that is already committed: the text begins with them.
        prompt: Tokens of what was said before the audio.
        beam_size: 1 takes the best token each time.
        padding_s: Silence that is added after the audio. With less than a second the last word is
            lost; up to 30 s in all would cost ten times as much.
    """

    waveform: NDArray[np.float32]
    language: str | None
    task: str = "transcribe"
    prefix: tuple[int, ...] = ()
    prompt: tuple[int, ...] = ()
    beam_size: int = 1
    padding_s: float = 1.0

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.waveform) / SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Hypothesis:
    """
    What seems to be said.

    Attributes:
        tokens: Text tokens, those of the prefix first.
        language: The one that was asked for, or detected.
        no_speech_prob: How likely it is that nobody speaks, 0 to 1.
    """

    tokens: tuple[int, ...]
    language: Guess
    no_speech_prob: float


class LiveDecoder:
    """
    A model of CTranslate2 for live sessions. It has no state, so several threads may use it.

    The model may be the same object that decodes chunks of files.

    Args:
        tokenizer: Gives the tokenizer of a language and a task.
        suppressed: Tokens that the model must not write.
    """

    def __init__(
        self,
        model: WhisperModel,
        tokenizer: Callable[[str, str], Tokenizer],
        suppressed: Sequence[int],
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._suppressed = list(suppressed)

    @property
    def is_multilingual(self) -> bool:
        """Whether the model knows languages other than English."""
        return bool(self._model.model.is_multilingual)

    def check_language(self, language: str) -> None:
        """
        Check that the model knows a language.

        Raises:
            EngineFailed: It does not.
        """
        self._tokenizer(language, "transcribe")

    def encode_text(self, text: str) -> tuple[int, ...]:
        """The tokens of a text."""
        return tuple(self._tokenizer("en", "transcribe").encode(text))

    def decode_text(self, tokens: Sequence[int]) -> str:
        """The text of some tokens."""
        return str(self._tokenizer("en", "transcribe").decode(list(tokens)))

    def encode(self, task: LiveTask) -> Any:
        """The encoder's output for the audio of a task, (1, n_positions, width)."""
        n_samples = min(N_SAMPLES, len(task.waveform) + int(task.padding_s * SAMPLE_RATE_HZ))
        n_samples -= n_samples % _SAMPLES_PER_POSITION
        padded = np.zeros(n_samples, np.float32)
        kept = task.waveform[:n_samples]
        padded[: len(kept)] = kept
        n_frames = n_samples * FRAMES_PER_SECOND // SAMPLE_RATE_HZ
        features = self._model.feature_extractor(padded, padding=0)[:, :n_frames]
        return self._model.encode(np.ascontiguousarray(features, np.float32))

    def decode(self, task: LiveTask, encoded: Any) -> Hypothesis:
        """Write down what is said in the audio of a task, of which `encoded` is the encoding."""
        language = self._language(task, encoded)
        tokenizer = self._tokenizer(language.language, task.task)
        prompt = self._prompt(task, tokenizer)
        n_new = int(_FEWEST_TOKENS + task.duration_s * _TOKENS_PER_S)
        n_text = len(task.prefix) + min(_MOST_TOKENS, n_new)
        # CTranslate2 writes at most half of `max_length` tokens, the prefix among them, and counts
        # the prompt too. It says nothing when it cuts a text.
        most = max(2 * n_text, n_text + len(prompt) - len(task.prefix))
        [result] = self._model.model.generate(
            encoded,
            [prompt],
            beam_size=task.beam_size,
            max_length=min(self._model.max_length, most),
            return_no_speech_prob=True,
            suppress_blank=not task.prefix,
            suppress_tokens=self._suppressed,
        )
        text = [token for token in result.sequences_ids[0] if token < tokenizer.eot]
        # Some versions of CTranslate2 give the prefix again, others do not.
        prefix = list(task.prefix)
        if text[: len(prefix)] != prefix:
            text = prefix + text
        return Hypothesis(tuple(text), language, float(result.no_speech_prob))

    def time_words(
        self, task: LiveTask, encoded: Any, language: str, tokens: Sequence[int]
    ) -> list[TimedWord]:
        """
        The words of a text, with times in seconds from the start of the audio.

        A word ends where its letters end, not where the next one begins.
        """
        tokenizer = self._tokenizer(language, task.task)
        n_frames = max(1, int(task.duration_s * FRAMES_PER_SECOND))
        [found] = self._model.find_alignment(tokenizer, [list(tokens)], encoded, n_frames)
        words = [
            TimedWord(
                word["word"], len(word["tokens"]), float(word["start"]), float(word["end"]),
                float(word["probability"]),
            )
            for word in found
        ]  # fmt: skip
        joined = join_parts(merge_punctuation(words))
        for word in joined:
            longest = _SHORTEST_WORD_S + _LETTER_S * sum(map(str.isalnum, word.word))
            word.end = max(word.start, min(word.end, word.start + longest))
        return joined

    def _language(self, task: LiveTask, encoded: Any) -> Guess:
        if task.language or not self.is_multilingual:
            return Guess(task.language or "en", 1.0)
        return guess_languages(self._model, encoded)[0]

    def _prompt(self, task: LiveTask, tokenizer: Tokenizer) -> list[int]:
        before = [tokenizer.sot_prev, *task.prompt[-_MOST_PROMPT_TOKENS:]] if task.prompt else []
        return [
            *before, *tokenizer.sot_sequence, tokenizer.no_timestamps, *task.prefix
        ]  # fmt: skip
