"""Transcripts as AssemblyAI writes them. Times are whole milliseconds."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict

from gateway.answering.answers import error_of
from gateway.answering.channels import channel_of
from gateway.answering.numbered import ANONYMOUS, letter, speaker_numbers
from gateway.answering.passages import (
    Passage,
    all_words,
    bare,
    bare_text,
    confidence_of,
    paragraphs_of,
    sentences_of,
    utterances_of,
)
from gateway.answering.replaced import warn_of_replaced
from gateway.answering.shapes import assemblyai as shapes
from gateway.assemblyai.options import TranscriptOptions
from shared.formats import tidy
from shared.records import JobRecord, Status
from shared.transcript import Transcript, Word

STATUSES: dict[Status, shapes.Standing] = {
    Status.QUEUED: "queued",
    Status.RUNNING: "processing",
    Status.SUCCEEDED: "completed",
    Status.FAILED: "error",
    Status.CANCELLED: "error",
}
"""What AssemblyAI calls each status of a job."""


def options_of(record: JobRecord) -> TranscriptOptions | None:
    """AssemblyAI's options of a job; None if another route made it."""
    if record.asked_as is None or record.asked_as.dialect != "assemblyai":
        return None
    sent = record.asked_as.sent
    return TranscriptOptions.model_validate(
        {name: sent[name] for name in TranscriptOptions.model_fields if name in sent}
    )


def status_value(
    record: JobRecord, transcript: Transcript | None
) -> tuple[shapes.Standing, str | None]:
    """A job's status, and why it ended without a text."""
    if error := error_of(record):
        return "error", error.message
    refused = refusal_of(options_of(record), transcript) if transcript else None
    return ("error", refused) if refused else (STATUSES[record.status], None)


def refusal_of(options: TranscriptOptions | None, transcript: Transcript) -> str | None:
    """Why the caller's options refuse a transcript; None if they accept it."""
    if options is None:
        return None
    found = round(transcript.language_probability, 4)
    least = options.language_confidence_threshold
    if least is not None and found < least:
        return (
            f"the language, {transcript.language}, is sure to {found}, and less than "
            f"language_confidence_threshold, {least:g}"
        )
    spoken = transcript.duration_after_vad / transcript.duration if transcript.duration else 0.0
    if options.speech_threshold is not None and spoken < options.speech_threshold:
        return (
            f"{spoken:.2f} of the audio is speech, and less than speech_threshold, "
            f"{options.speech_threshold:g}"
        )
    return None


def transcript_value(
    record: JobRecord, transcript: Transcript | None, *, audio_url: str
) -> dict[str, Any]:
    """
    A transcript's status, options and text.

    Args:
        transcript: None while there is none.
        audio_url: The URL of the audio, for a job that another route made.
    """
    options = options_of(record)
    status, error = status_value(record, transcript)
    standing = shapes.TranscriptStanding(
        id=record.id,
        status=status,
        error=error,
        audio_url=options.audio_url if options else audio_url,
        audio_duration=round(record.audio.duration_s),
        text=None,
        words=None,
        utterances=None,
        confidence=None,
        **_asked(record, options),
    )
    sent = record.asked_as.sent if record.asked_as and options else {}
    if transcript is not None and status == "completed":
        transcript = warn_of_replaced(transcript, sent.get("replaced", ""))
        _Written(record, tidy(transcript)).fill(standing)
    messages = [f"{name} has no effect here" for name in sent.get("ignored", ())]
    messages += [warning.message for warning in transcript.warnings] if transcript else []
    if messages:
        warnings = [shapes.TranscriptWarning(message=message) for message in messages]
        standing.metadata = shapes.TranscriptMetadata(warnings=warnings)
    return standing.value()


def _asked(record: JobRecord, options: TranscriptOptions | None) -> dict[str, Any]:
    """The options, which the answer repeats."""
    request = record.request
    return {
        "language_code": request.language,
        "language_detection": request.language is None,
        "language_confidence_threshold": options and options.language_confidence_threshold,
        "language_confidence": None,
        "punctuate": options is None or options.punctuate is not False,
        "format_text": options is None or options.format_text is not False,
        "speaker_labels": request.diarize,
        "speakers_expected": request.num_speakers,
        "speech_threshold": options and options.speech_threshold,
        "speech_model": options and options.speech_model,
        "speech_model_used": None,
        "prompt": request.prompt,
        "keyterms_prompt": list(options.keyterms_prompt) if options else [],
        "word_boost": list(options.word_boost) if options else [],
        "audio_start_from": options and options.audio_start_from,
        "audio_end_at": options and options.audio_end_at,
        "multichannel": request.multichannel,
        "webhook_url": record.callback_url,
        "webhook_auth": bool(options and options.webhook_auth_header_name),
    }


class _Who(TypedDict):
    speaker: str | None
    channel: NotRequired[str | None]


class _Written:
    """Writes one transcript, as the options ask."""

    def __init__(self, record: JobRecord, tidied: Transcript) -> None:
        options = options_of(record)
        self._record = record
        self._tidied = tidied
        self._has_signs = options is None or options.punctuate is not False
        self._has_case = options is None or options.format_text is not False
        self._numbers = speaker_numbers(tidied)

    def fill(self, standing: shapes.TranscriptStanding) -> None:
        """Add the text, its words and what was found out."""
        words = all_words(self._tidied)
        standing.text = self.text(words, self._tidied.text.strip())
        standing.words = [self._word(word) for word in words]
        standing.confidence = confidence_of(words)
        standing.language_code = self._tidied.language
        standing.language_confidence = round(self._tidied.language_probability, 4)
        standing.speech_model_used = self._tidied.model
        if self._record.request.names_speakers:
            passages = utterances_of(self._tidied)
            standing.utterances = [self.passage(passage) for passage in passages]

    def text(self, words: tuple[Word, ...], text: str) -> str:
        """The text; made of bare words if no punctuation is wanted."""
        if words and not self._has_signs:
            text = bare_text(words)
        return text if self._has_case else text.lower()

    def _word(self, word: Word) -> shapes.SpokenWord:
        text = word.word.strip() if self._has_signs else bare(word.word)
        return shapes.SpokenWord(
            text=text if self._has_case else text.lower(),
            start=ms(word.start),
            end=ms(word.end),
            confidence=round(word.probability, 4),
            **self._speaker(word.speaker),
        )

    def passage(self, passage: Passage) -> shapes.Spoken:
        """An utterance, a sentence or a paragraph."""
        return shapes.Spoken(
            text=self.text(passage.words, passage.text),
            start=ms(passage.start),
            end=ms(passage.end),
            confidence=passage.confidence,
            **self._speaker(passage.speaker),
            words=[self._word(word) for word in passage.words],
        )

    def _speaker(self, who: str | None) -> _Who:
        """A letter or a name. A channel has its number, from 1, as channel and as speaker."""
        if self._record.request.multichannel:
            channel = channel_of(self._record, who)
            number = None if channel is None else str(channel + 1)
            return {"speaker": number, "channel": number}
        is_named = who is None or not who.startswith(ANONYMOUS)
        return {"speaker": who if is_named else letter(self._numbers[who or ""])}


def sentences_value(record: JobRecord, transcript: Transcript) -> dict[str, Any]:
    """A transcript by its sentences."""
    tidied = tidy(transcript)
    passages = [_Written(record, tidied).passage(each) for each in sentences_of(tidied)]
    return shapes.Sentences(**_about(record, tidied), sentences=passages).value()


def paragraphs_value(record: JobRecord, transcript: Transcript) -> dict[str, Any]:
    """A transcript by its paragraphs."""
    tidied = tidy(transcript)
    passages = [_Written(record, tidied).passage(each) for each in paragraphs_of(tidied)]
    return shapes.Paragraphs(**_about(record, tidied), paragraphs=passages).value()


def _about(record: JobRecord, tidied: Transcript) -> dict[str, Any]:
    return {
        "id": record.id,
        "confidence": confidence_of(all_words(tidied)),
        "audio_duration": record.audio.duration_s,
    }


def matches_value(record: JobRecord, transcript: Transcript, wanted: list[str]) -> dict[str, Any]:
    """
    Where some words are said; case and punctuation are ignored.

    Args:
        wanted: Words, or phrases with spaces between their words.
    """
    words = all_words(tidy(transcript))
    said = [bare(word.word).lower() for word in words]
    matches = [_match(phrase, said, words) for phrase in wanted]
    found = [match for match in matches if match["count"]]
    n_found = sum(match["count"] for match in found)
    return shapes.Matches(id=record.id, total_count=n_found, matches=found).value()


def _match(phrase: str, said: list[str], words: tuple[Word, ...]) -> shapes.Match:
    parts = [bare(part).lower() for part in phrase.split()]
    n_parts = len(parts)
    found = [n for n in range(len(said)) if parts and said[n : n + n_parts] == parts]
    spans = [(words[n].start, words[n + n_parts - 1].end) for n in found]
    times = [[ms(start), ms(end)] for start, end in spans]
    return shapes.Match(text=phrase, count=len(found), timestamps=times, indexes=found)


def ms(seconds: float) -> int:
    """Whole milliseconds."""
    return round(seconds * 1000)
