"""Whisper by CTranslate2, through faster-whisper."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens

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

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_SAMPLES = 480_000
N_FRAMES = 3_000


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
        self._tokenizer = cache(self._make_tokenizer)
        self._suppressed = get_suppressed_tokens(self._tokenizer("en", "transcribe"), [-1])

    @property
    def is_multilingual(self) -> bool:
        """See `Engine.is_multilingual`."""
        return bool(self._model.model.is_multilingual)

    def detect_language(self, waveform: NDArray[np.float32]) -> Guess:
        """See `Engine.detect_language`."""
        if not self.is_multilingual:
            return Guess("en", 1.0)
        encoded = self._model.encode(self._features([waveform[:N_SAMPLES]]))
        token, probability = self._model.model.detect_language(encoded)[0][0]
        return Guess(token[2:-2], float(probability))

    def transcribe(self, chunks: Sequence[Chunk]) -> list[list[Segment]]:
        """See `Engine.transcribe`."""
        decoded: list[list[Segment]] = [[] for _ in chunks]
        prompts = [self._prompt(chunk.options) for chunk in chunks]
        # CTranslate2 takes prompts of one length, one temperature and, to time words, one
        # start sequence a call; rows may differ in everything else.
        keys = [(len(p), c.options.temperature) for p, c in zip(prompts, chunks, strict=True)]
        for _, group in groupby(sorted(range(len(chunks)), key=keys.__getitem__), keys.__getitem__):
            rows = list(group)
            found = self._transcribe_alike([chunks[i] for i in rows], [prompts[i] for i in rows])
            for i, segments in zip(rows, found, strict=True):
                decoded[i] = segments
        return decoded

    def _transcribe_alike(
        self, chunks: list[Chunk], prompts: list[list[int]]
    ) -> list[list[Segment]]:
        encoded = self._model.encode(self._features([chunk.waveform for chunk in chunks]))
        temperature = chunks[0].options.temperature
        sampling = (
            {"beam_size": 1, "num_hypotheses": BEST_OF, "sampling_topk": 0}
            if temperature > 0
            else {"beam_size": BEAM_SIZE}
        )
        results = self._model.model.generate(
            encoded,
            prompts,
            max_length=self._model.max_length,
            return_scores=True,
            return_no_speech_prob=True,
            sampling_temperature=temperature,
            suppress_blank=True,
            suppress_tokens=self._suppressed,
            max_initial_timestamp_index=50,
            **sampling,
        )
        decoded = [
            self._segments(chunk, result) for chunk, result in zip(chunks, results, strict=True)
        ]
        self._time_words(chunks, encoded, decoded)
        return decoded

    def _segments(self, chunk: Chunk, result: Any) -> list[Segment]:
        tokens = result.sequences_ids[0]
        # CTranslate2's score is the mean over the tokens; Whisper counts the end token too.
        logprob = result.scores[0] * len(tokens) / (len(tokens) + 1)
        tokenizer = self._tokenizer(chunk.options.language, chunk.options.task)
        return make_segments(chunk, Decoded(tokens, logprob, result.no_speech_prob), tokenizer)

    def _time_words(self, chunks: list[Chunk], encoded: Any, decoded: list[list[Segment]]) -> None:
        """Give words to the chunks that want them, in place."""
        wanted = [i for i, chunk in enumerate(chunks) if chunk.options.word_timestamps]
        if not wanted:
            return
        # One by one: side by side, the shorter texts are padded, and in int8 that moves the
        # probabilities of their words.
        rows = np.asarray(encoded.to_device(ctranslate2.Device.cpu))
        for i in wanted:
            options = chunks[i].options
            tokenizer = self._tokenizer(options.language, options.task)
            text = [t for s in decoded[i] for t in s.tokens if t < tokenizer.eot]
            if not text:
                continue
            row = ctranslate2.StorageView.from_array(np.ascontiguousarray(rows[i : i + 1]))
            frames = max(1, int(chunks[i].duration_s * 100))
            [aligned] = self._model.find_alignment(tokenizer, [text], row, frames)
            words = [_timed(word) for word in aligned]
            decoded[i] = give_words(decoded[i], words, tokenizer.eot, chunks[i].duration_s)

    def _features(self, waveforms: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """(n, n_mels, 3000) float32 of chunks padded with silence to 30 s, as Whisper does."""
        extract = self._model.feature_extractor
        padded = (np.pad(w, (0, max(0, N_SAMPLES - len(w)))) for w in waveforms)
        return np.stack([extract(w)[:, :N_FRAMES].astype(np.float32) for w in padded])

    def _prompt(self, options: DecodeOptions) -> list[int]:
        tokenizer = self._tokenizer(options.language, options.task)
        before = tokenizer.encode(" " + options.prompt.strip()) if options.prompt else []
        prompt: list[int] = self._model.get_prompt(tokenizer, before)
        return prompt

    def _make_tokenizer(self, language: str, task: str) -> Tokenizer:
        return Tokenizer(
            self._model.hf_tokenizer, self.is_multilingual, task=task, language=language
        )


def _timed(word: dict[str, Any]) -> TimedWord:
    return TimedWord(
        word["word"],
        len(word["tokens"]),
        float(word["start"]),
        float(word["end"]),
        float(word["probability"]),
    )
