"""A transcript as server-sent events, while it is made."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from gateway.answering.answers import error_of, read_transcript
from gateway.answering.passages import all_words, words_of
from gateway.answering.replaced import warn_of_replaced
from gateway.answering.shapes.openai import Delta, Done
from gateway.answering.warned import warnings_value
from gateway.errors import REDIS_AWAY, openai_error_value
from gateway.openai.answers import logprobs, logprobs_of, spoken_segments, timed_segments
from gateway.openai.fields import OpenAISubmission
from gateway.services import Services
from gateway.waiting.disconnects import Reader
from shared.chinese import CHINESE
from shared.chinese_text import convert_text
from shared.errors import Busy, JobCancelled, JobNotFound, LonghandError
from shared.formats import tidy
from shared.jobs.chunks import KeptChunks
from shared.records import JobRecord
from shared.request import TranscriptionRequest
from shared.transcript import Segment, Transcript, Word, join_text

_POLL_S = 0.2
_SILENCE_S = 10.0
"""After this long without an event a comment is sent, so that no proxy or client gives up."""

_HELD_BACK = 20
"""Characters at the end of converted Chinese that may still change with the text after them."""

_log = logging.getLogger(__name__)


class SentText:
    """
    The part of a job's text that its reader was sent.

    Chunks are done in any order; the text is sent in the order of time.
    """

    def __init__(self, request: TranscriptionRequest) -> None:
        self._request = request
        self._segments: list[Segment] = []
        self._language = ""
        self._next_chunk = 0
        self._n_words = 0
        self.text = ""

    def catch_up(self, chunks: KeptChunks, job_id: str) -> str:
        """Read the chunks that were done since the last call. Returns the text that they add."""
        more, self._next_chunk = chunks.following(job_id, self._next_chunk)
        if not more:
            return ""
        self._language = self._language or more[0].language
        self._segments += [segment for chunk in more for segment in chunk.segments]
        text = self._written()
        return self._add(text[len(self.text) :]) if text.startswith(self.text) else ""

    def finish(self, text: str) -> str:
        """
        The rest of the text.

        Args:
            text: The whole text. It may differ in white space from what was sent: a segment that
                was cut in two since may have lost a space.
        """
        n_sent = len("".join(self.text.split()))
        ends = [0, *(n for n, letter in enumerate(text, 1) if not letter.isspace())]
        return self._add(text[ends[min(n_sent, len(ends) - 1)] :])

    def new_words(self, words: Sequence[Word] | None = None) -> Sequence[Word]:
        """
        The words that are new since the last call.

        Args:
            words: The final words; None for those of the chunks that are done.
        """
        found = words_of(self._segments) if words is None else words
        new, self._n_words = found[self._n_words :], max(self._n_words, len(found))
        return new

    def _add(self, delta: str) -> str:
        self.text += delta
        return delta

    def _written(self) -> str:
        """The text so far, in the script asked for, without what may still change."""
        request = self._request
        if request.multichannel:  # channels are decoded in turn: the order is known at the end
            return ""
        text = join_text(self._segments, self._language, task=request.task)
        spoken = {segment.language or self._language for segment in self._segments}
        if request.chinese in (None, "none") or request.task == "translate":
            return text
        if not spoken & CHINESE:
            return text
        if spoken - CHINESE:  # partly converted: sent as a whole at the end
            return ""
        assert request.chinese is not None
        return convert_text(text, request.chinese).text[:-_HELD_BACK]


def stream_events(
    here: Services,
    record: JobRecord,
    submission: OpenAISubmission,
    reader: Reader,
    has_disconnected: Callable[[], bool],
) -> Iterator[str]:
    """
    The events of a job until it ends. If all its readers disconnect before, it is cancelled.

    Args:
        has_disconnected: Whether the caller has disconnected.
    """
    is_over = False
    try:
        yield ": the text follows as it is made\n\n"  # it makes the server send the headers
        sent = SentText(record.request)
        for delta in _deltas(here, record, sent, reader, has_disconnected):
            yield _delta_event(sent, submission, delta) if delta else ": \n\n"
        if not has_disconnected():
            is_over = True
            yield from _end(here, record, sent, submission)
    except Exception as error:
        is_over = True
        yield _error_event(error, record)
    finally:
        with suppress(*REDIS_AWAY):
            if not is_over and reader.leave() and record.is_streamed:
                _log.info("the last reader of job %s has disconnected", record.id)
                here.jobs.callers.abandon(record.id, 0.0)
                here.jobs.cancel(record.id, is_gone=True)


def _deltas(
    here: Services,
    record: JobRecord,
    sent: SentText,
    reader: Reader,
    has_disconnected: Callable[[], bool],
) -> Iterator[str]:
    """The text as it is made, until the job ends or its reader leaves; "" after a silence."""
    last = time.monotonic()
    while not has_disconnected():
        reader.stay()
        try:
            record = here.jobs.get(record.id)
        except JobNotFound as error:
            raise JobCancelled("the job was deleted before it ended", job_id=record.id) from error
        if record.status.is_final:
            return
        delta = sent.catch_up(here.jobs.runs.chunks, record.run_id)
        if delta or time.monotonic() - last > _SILENCE_S:
            last = time.monotonic()
            yield delta
        if here.waiting.pause(_POLL_S):
            raise Busy("the gateway stops; the job goes on", job_id=record.id)


def _end(
    here: Services, record: JobRecord, sent: SentText, submission: OpenAISubmission
) -> Iterator[str]:
    """The last events, when the job has ended."""
    record = here.jobs.get(record.id)
    if error := error_of(record):
        raise error
    transcript = tidy(warn_of_replaced(read_transcript(here.jobs, record), submission.replaced))
    words = all_words(transcript)
    if delta := sent.finish(transcript.text.strip()):
        yield _delta_event(sent, submission, delta, words)
    if submission.fields.response_format == "diarized_json":
        for segment in spoken_segments(transcript):
            yield _event(segment.value())
    yield _event(_done(sent, transcript, submission).value())
    yield "data: [DONE]\n\n"


def _delta_event(
    sent: SentText, submission: OpenAISubmission, delta: str, words: Sequence[Word] | None = None
) -> str:
    found = logprobs(sent.new_words(words)) if submission.fields.has_logprobs else None
    return _event(Delta(type="transcript.text.delta", delta=delta, logprobs=found).value())


def _done(sent: SentText, transcript: Transcript, submission: OpenAISubmission) -> Done:
    is_spoken = submission.fields.response_format == "diarized_json"
    return Done(
        type="transcript.text.done",
        text=sent.text,
        segments=spoken_segments(transcript) if is_spoken else timed_segments(transcript),
        logprobs=logprobs_of(transcript, submission),
        warnings=warnings_value(transcript.warnings) or None,
    )


def _event(value: dict[str, Any], name: str = "") -> str:
    written = json.dumps(value, ensure_ascii=False)
    return f"event: {name or value['type']}\ndata: {written}\n\n"


def _error_event(error: Exception, record: JobRecord) -> str:
    if isinstance(error, REDIS_AWAY):
        _log.warning("Redis is away: %s", error)
        error = Busy("the queue cannot be reached at the moment; the job goes on")
    elif not isinstance(error, LonghandError):
        _log.error("streaming job %s failed", record.id, exc_info=error)
        error = LonghandError("something went wrong in the gateway; its log says what")
    error.job_id = record.id
    return _event(openai_error_value(error), "error")
