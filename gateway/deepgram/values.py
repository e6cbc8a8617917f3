"""Transcripts as Deepgram writes them. Times are in seconds."""

from __future__ import annotations

import uuid
from typing import Any

from gateway.answering.answers import as_rfc3339
from gateway.answering.channels import channels_of
from gateway.answering.numbered import speaker_numbers
from gateway.answering.passages import (
    Passage,
    all_words,
    bare,
    confidence_of,
    paragraphs_of,
    utterances_of,
)
from gateway.answering.warned import warnings_value
from gateway.deepgram.options import ListenOptions
from shared.formats import tidy
from shared.records import JobRecord
from shared.transcript import Transcript, Word


def request_id_of(job_id: str) -> str:
    """A job's id as Deepgram writes ids."""
    return str(uuid.UUID(job_id))


def listen_value(
    record: JobRecord,
    transcript: Transcript,
    options: ListenOptions,
    *,
    ignored: tuple[str, ...] = (),
) -> dict[str, Any]:
    """
    What the caller is answered.

    Args:
        ignored: Names of parameters that mean nothing here.
    """
    channels = channels_of(record, tidy(transcript))
    spoken = [_Spoken(channel, options, n) for n, channel in enumerate(channels)]
    results: dict[str, Any] = {"channels": [each.channel_value() for each in spoken]}
    if options.utterances:
        told = [value for each in spoken for value in each.utterance_values(record)]
        results["utterances"] = sorted(told, key=lambda value: float(value["start"]))
    about = _metadata(record, tidy(transcript), options, ignored)
    return {"metadata": about | {"channels": len(channels)}, "results": results}


def _metadata(
    record: JobRecord, tidied: Transcript, options: ListenOptions, ignored: tuple[str, ...]
) -> dict[str, Any]:
    model_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tidied.model}@{tidied.model_revision}"))
    about = {"name": tidied.model, "version": tidied.model_revision, "arch": tidied.engine}
    value: dict[str, Any] = {
        "transaction_key": "deprecated",
        "request_id": request_id_of(record.id),
        "sha256": record.audio.sha256,
        "created": as_rfc3339(record.created_at),
        "duration": tidied.duration,
        "models": [model_id],
        "model_info": {model_id: about},
    }
    if options.tag:
        value["tags"] = list(options.tag)
    if options.extra:
        pairs = (each.partition(":") for each in options.extra)
        value["extra"] = {name: told for name, _, told in pairs}
    warned = [
        {"parameter": name, "type": "unsupported", "message": f"{name} has no effect here"}
        for name in ignored
    ]
    warned += [
        {"parameter": "", "type": told["code"], "message": told["message"]}
        for told in warnings_value(tidied.warnings)
    ]
    if warned:
        value["warnings"] = warned
    return value


class _Spoken:
    """What is said in a channel, and how its words are to be written."""

    def __init__(self, tidied: Transcript, options: ListenOptions, channel: int) -> None:
        self._tidied = tidied
        self._channel = channel
        self._options = options
        self._numbers = speaker_numbers(tidied)

    def channel_value(self) -> dict[str, Any]:
        """All that is said."""
        words = all_words(self._tidied)
        best: dict[str, Any] = {
            "transcript": self._written(words, self._tidied.text.strip()),
            "confidence": confidence_of(words),
            "words": [self._word_value(word) for word in words],
        }
        if self._options.paragraphs or self._options.smart_format:
            best["paragraphs"] = self._paragraphs_value()
        value: dict[str, Any] = {"alternatives": [best]}
        if self._options.detect_language:
            value["detected_language"] = self._tidied.language
            value["language_confidence"] = round(self._tidied.language_probability, 4)
        return value

    def _written(self, words: tuple[Word, ...], text: str) -> str:
        """A text; of bare words where no punctuation is wanted."""
        if not self._options.is_plain or not words:
            return text
        spaced = ((" " if word.word[:1].isspace() else "", bare(word.word)) for word in words)
        return "".join(before + word for before, word in spaced).strip().lower()

    def _word_value(self, word: Word) -> dict[str, Any]:
        value: dict[str, Any] = {
            "word": bare(word.word).lower(),
            "start": word.start,
            "end": word.end,
            "confidence": round(word.probability, 4),
        }
        if word.speaker is not None:
            value["speaker"] = self._numbers[word.speaker]
        if not self._options.is_plain:
            value["punctuated_word"] = word.word.strip()
        return value

    def _paragraphs_value(self) -> dict[str, Any]:
        passages = paragraphs_of(self._tidied)
        texts = [self._named(passage) for passage in passages]
        return {
            "transcript": "".join(f"\n{text}\n" for text in texts).rstrip("\n"),
            "paragraphs": [self._paragraph_value(passage) for passage in passages],
        }

    def _named(self, passage: Passage) -> str:
        if passage.speaker is None:
            return passage.text
        return f"Speaker {self._numbers[passage.speaker]}: {passage.text}"

    def _paragraph_value(self, passage: Passage) -> dict[str, Any]:
        value: dict[str, Any] = {
            "sentences": [
                {"text": sentence.text, "start": sentence.start, "end": sentence.end}
                for sentence in passage.sentences
            ],
            "num_words": len(passage.words),
            "start": passage.start,
            "end": passage.end,
        }
        return value | self._speaker(passage)

    def utterance_values(self, record: JobRecord) -> list[dict[str, Any]]:
        """What is said between two pauses."""
        passages = utterances_of(self._tidied, pause_s=self._options.utt_split)
        return [self._utterance_value(record, n, each) for n, each in enumerate(passages)]

    def _utterance_value(self, record: JobRecord, n: int, passage: Passage) -> dict[str, Any]:
        value: dict[str, Any] = {
            "start": passage.start,
            "end": passage.end,
            "confidence": passage.confidence,
            "channel": self._channel,
            "transcript": self._written(passage.words, passage.text),
            "words": [self._word_value(word) for word in passage.words],
        }
        value |= self._speaker(passage)
        return value | {"id": str(uuid.uuid5(uuid.UUID(record.id), f"{self._channel}.{n}"))}

    def _speaker(self, passage: Passage) -> dict[str, int]:
        return {} if passage.speaker is None else {"speaker": self._numbers[passage.speaker]}
