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
    bare_text,
    confidence_of,
    paragraphs_of,
    utterances_of,
)
from gateway.answering.shapes import deepgram as shapes
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
    A transcript as `/v1/listen` answers it.

    Args:
        ignored: Names of parameters that have no effect here.
    """
    tidied = tidy(transcript)
    channels = channels_of(record, tidied)
    spoken = [_Spoken(channel, options, n) for n, channel in enumerate(channels)]
    utterances = None
    if options.utterances:
        found = [utterance for each in spoken for utterance in each.utterances(record)]
        utterances = sorted(found, key=lambda utterance: utterance.start)
    return shapes.Listened(
        metadata=_metadata(record, tidied, options, ignored, n_channels=len(channels)),
        results=shapes.ListenResults(
            channels=[each.channel() for each in spoken], utterances=utterances
        ),
    ).value()


def _metadata(
    record: JobRecord,
    tidied: Transcript,
    options: ListenOptions,
    ignored: tuple[str, ...],
    *,
    n_channels: int,
) -> shapes.ListenMetadata:
    model_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tidied.model}@{tidied.model_revision}"))
    about = {"name": tidied.model, "version": tidied.model_revision, "arch": tidied.engine}
    pairs = (each.partition(":") for each in options.extra)
    return shapes.ListenMetadata(
        transaction_key="deprecated",
        request_id=request_id_of(record.id),
        sha256=record.audio.sha256,
        created=as_rfc3339(record.created_at),
        duration=tidied.duration,
        models=[model_id],
        model_info={model_id: about},
        tags=list(options.tag) or None,
        extra={name: text for name, _, text in pairs} or None,
        warnings=_warnings(tidied, ignored) or None,
        channels=n_channels,
    )


def _warnings(tidied: Transcript, ignored: tuple[str, ...]) -> list[shapes.ListenWarning]:
    return [
        *(
            shapes.ListenWarning(
                parameter=name, type="unsupported", message=f"{name} has no effect here"
            )
            for name in ignored
        ),
        *(
            shapes.ListenWarning(parameter="", type=warning.code, message=warning.message)
            for warning in tidied.warnings
        ),
    ]


class _Spoken:
    """Writes what is said in one channel, as the options ask."""

    def __init__(self, tidied: Transcript, options: ListenOptions, channel: int) -> None:
        self._tidied = tidied
        self._channel = channel
        self._options = options
        self._numbers = speaker_numbers(tidied)

    def channel(self) -> shapes.ListenChannel:
        """Everything that is said."""
        words = all_words(self._tidied)
        has_paragraphs = self._options.paragraphs or self._options.smart_format
        best = shapes.ListenAlternative(
            transcript=self._written(words, self._tidied.text.strip()),
            confidence=confidence_of(words),
            words=[self._word(word) for word in words],
            paragraphs=self._paragraphs() if has_paragraphs else None,
        )
        if not self._options.detect_language:
            return shapes.ListenChannel(alternatives=[best])
        return shapes.ListenChannel(
            alternatives=[best],
            detected_language=self._tidied.language,
            language_confidence=round(self._tidied.language_probability, 4),
        )

    def _written(self, words: tuple[Word, ...], text: str) -> str:
        """The text; made of bare words if no punctuation is wanted."""
        if not self._options.is_plain or not words:
            return text
        return bare_text(words).lower()

    def _word(self, word: Word) -> shapes.ListenWord:
        found = shapes.ListenWord(
            word=bare(word.word).lower(),
            start=word.start,
            end=word.end,
            confidence=round(word.probability, 4),
        )
        if word.speaker is not None:
            found["speaker"] = self._numbers[word.speaker]
        if not self._options.is_plain:
            found["punctuated_word"] = word.word.strip()
        return found

    def _paragraphs(self) -> shapes.ListenParagraphs:
        passages = paragraphs_of(self._tidied)
        texts = [self._named(passage) for passage in passages]
        return shapes.ListenParagraphs(
            transcript="".join(f"\n{text}\n" for text in texts).rstrip("\n"),
            paragraphs=[self._paragraph(passage) for passage in passages],
        )

    def _named(self, passage: Passage) -> str:
        if passage.speaker is None:
            return passage.text
        return f"Speaker {self._numbers[passage.speaker]}: {passage.text}"

    def _paragraph(self, passage: Passage) -> shapes.ListenParagraph:
        return shapes.ListenParagraph(
            sentences=[
                shapes.ListenSentence(text=sentence.text, start=sentence.start, end=sentence.end)
                for sentence in passage.sentences
            ],
            num_words=len(passage.words),
            start=passage.start,
            end=passage.end,
            speaker=self._number(passage),
        )

    def utterances(self, record: JobRecord) -> list[shapes.ListenUtterance]:
        """What is said between two pauses."""
        passages = utterances_of(self._tidied, pause_s=self._options.utt_split)
        return [self._utterance(record, n, each) for n, each in enumerate(passages)]

    def _utterance(self, record: JobRecord, n: int, passage: Passage) -> shapes.ListenUtterance:
        return shapes.ListenUtterance(
            start=passage.start,
            end=passage.end,
            confidence=passage.confidence,
            channel=self._channel,
            transcript=self._written(passage.words, passage.text),
            words=[self._word(word) for word in passage.words],
            speaker=self._number(passage),
            id=str(uuid.uuid5(uuid.UUID(record.id), f"{self._channel}.{n}")),
        )

    def _number(self, passage: Passage) -> int | None:
        return None if passage.speaker is None else self._numbers[passage.speaker]
