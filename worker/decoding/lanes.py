"""One lane of a recording. Each chunk begins where the text of the one before ended."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from shared.transcript import Segment
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import Span
from worker.decoding.fallback import (
    Candidate,
    better,
    is_impossible,
    more_probable,
    needs_fallback,
    overlap_s,
    repeats_last_word,
)
from worker.decoding.options import LaneOptions
from worker.decoding.pauses import chunk_end
from worker.decoding.repeats import restore_spoken_repeats
from worker.decoding.segment_times import is_near_voice, place_segments
from worker.engines.base import DecodeOptions, Decoding
from worker.speech.detection import Speech

MAX_PAUSE_S = 5.0
"""A chunk ends before a longer pause: in silence a model may write what nobody said."""

_LEAD_S = 1.0
"""A recording whose speech begins this soon is decoded from its first sample."""

_REST_S = 1.0
"""More speech than this after the last segment is decoded again, though the text had ended."""

_LEAST_BEFORE_GAP_S = 1.0
"""A chunk that ends before a text gap is at least this long."""

_MOST_CUTS = 2
"""Chunks in a row that may end before a text gap. Without a limit, a song would be decoded second
by second."""

_PAUSE_S = 0.3
"""A chunk that is shortened ends in a pause at least this long."""

_LEAST_STEP_S = 0.2
"""If the text ends sooner than this, the lane goes on after the chunk: it must move on."""

_MAX_CONTEXT = 96
"""Tokens of context. More gave no fewer errors, and a prompt must fit into Whisper's 223, too."""

_CONTEXT_STEP = 32
"""Contexts have lengths in steps: CTranslate2 takes only prompts of equal length in a batch."""

_SURE_LANGUAGE = 0.5
"""A detected language replaces the one before if it is at least this probable."""

_RESET_ABOVE = 0.5
"""Text that was drawn at a higher temperature is no context for the next chunk."""


@dataclass(frozen=True)
class PendingChunk:
    """A chunk that is to be decoded; `is_fallback` if it was decoded before with other options."""

    chunk: Span
    options: DecodeOptions
    is_fallback: bool = False


@dataclass(frozen=True)
class DecodedChunk:
    """
    A chunk that is done, and how its lane goes on.

    Attributes:
        segments: With times of the whole recording.
        language: For the chunks that follow; None before the first.
        language_probability: How sure its detection was; 1 if it was not detected.
        next_start: The sample at which the lane goes on.
        context: Tokens of context for the next chunk.
        is_last: Whether the lane ends here.
        n_cuts: How many chunks in a row, up to this one, ended before a text gap.
    """

    segments: tuple[Segment, ...]
    language: str | None
    language_probability: float
    next_start: int
    context: tuple[int, ...] = ()
    is_last: bool = False
    n_cuts: int = 0


_Steps = Generator[PendingChunk | DecodedChunk, Decoding, None]


class Lane:
    """
    One lane: decode `pending`, hand the result to `take`, and so on until `pending` is None.

    Args:
        span: The lane.
        speech: Of the whole recording.
        last: Its last chunk that is done already; None to begin.
    """

    def __init__(
        self, span: Span, speech: Speech, options: LaneOptions, last: DecodedChunk | None = None
    ) -> None:
        self._span = span
        self._speech = speech
        self._options = options
        self._last = last or DecodedChunk((), options.chunk.language, 1.0, span.start)
        self._steps = self._walk()
        self.pending = self._next_pending()

    def take(self, decoding: Decoding) -> DecodedChunk | None:
        """Take the decoding of `pending`; returns the chunk if it is done now."""
        step = self._steps.send(decoding)
        if isinstance(step, PendingChunk):
            self.pending = step
            return None
        self.pending = self._next_pending()
        return step

    def _next_pending(self) -> PendingChunk | None:
        step = next(self._steps, None)
        assert not isinstance(step, DecodedChunk)
        return step

    def _walk(self) -> _Steps:
        """Yield chunks to decode, receive their decodings, and yield each chunk that is done."""
        chunk = self._next_chunk()
        while chunk is not None:
            found = yield from self._decode(chunk)
            n_cuts = 0
            may_cut = self._options.falls_back and self._last.n_cuts < _MOST_CUTS
            if may_cut and found.text_gap is not None:
                chunk, found = yield from self._end_before_gap(chunk, found)
                # If the short chunk is fine, the cut was good: the next one may be cut as well.
                n_cuts = self._last.n_cuts + 1 if needs_fallback(found) else 0
            self._last = self._finish(chunk, found)
            chunk = self._next_chunk()
            self._last = replace(self._last, is_last=chunk is None, n_cuts=n_cuts)
            yield self._last

    def _next_chunk(self) -> Span | None:
        speech = self._speech
        start = self._last.next_start
        return next_chunk(self._span, speech.spans, start, self._options, speech.skipped)

    def _decode(self, chunk: Span) -> Generator[PendingChunk | DecodedChunk, Decoding, Candidate]:
        """Decode a chunk, and again with other options while its text is in doubt."""
        options, last = self._options, self._last
        asked = replace(
            options.chunk,
            language=None if options.detects_always else last.language,
            context=last.context if options.has_context else (),
        )
        best = self._candidate(chunk, asked, (yield PendingChunk(chunk, asked)))
        plain = replace(asked, context=(), language=options.chunk.language)
        if options.falls_back and plain != asked and needs_fallback(best):
            decoding = yield PendingChunk(chunk, plain, is_fallback=True)
            other = self._candidate(chunk, plain, decoding)
            if not repeats_last_word(last.segments, best, other):
                best = better(best, other)
        for temperature in options.temperatures:
            if not best.decoding.fails_thresholds:
                break
            drawn = replace(plain, temperature=temperature)
            decoding = yield PendingChunk(chunk, drawn, is_fallback=True)
            best = more_probable(best, self._candidate(chunk, drawn, decoding))
        return best

    def _candidate(self, chunk: Span, options: DecodeOptions, decoding: Decoding) -> Candidate:
        speech = self._speech
        found = restore_spoken_repeats(decoding, chunk, options, speech.voiced, speech.skipped)
        before = self._last.segments[-1:]
        text_before = before[0].text if before else ""
        return Candidate.at(chunk, options, found, speech.voiced, text_before)

    def _end_before_gap(
        self, chunk: Span, found: Candidate
    ) -> Generator[PendingChunk | DecodedChunk, Decoding, tuple[Span, Candidate]]:
        """
        Keep only the text before a text gap, so that the next chunk begins there.

        Where a chunk begins changes what Whisper writes. If this one begins with the gap, a
        shorter one is decoded: up to the first pause.
        """
        n_before, start_s = found.text_gap or (0, 0.0)
        if n_before and start_s >= _LEAST_BEFORE_GAP_S:
            kept = found.decoding.segments[:n_before]
            decoding = replace(found.decoding, segments=kept, heard_s=start_s)
            return chunk, replace(found, decoding=decoding)
        least = chunk.start + _samples(_LEAST_BEFORE_GAP_S)
        for here, after in pairwise(self._speech.voiced):
            is_pause = after.start - here.end > _samples(_PAUSE_S)
            if is_pause and least < here.end < after.start < chunk.end:
                shorter = Span(chunk.start, (here.end + after.start) // 2)
                return shorter, (yield from self._decode(shorter))
        return chunk, found

    def _finish(self, chunk: Span, candidate: Candidate) -> DecodedChunk:
        """The chunk with its final text, and how the lane goes on."""
        options, last, voiced = self._options, self._last, self._speech.voiced
        found = candidate.decoding
        segments = place_segments(found.segments, chunk, voiced)
        if options.drops_text_in_silence:
            segments = tuple(segment for segment in segments if is_near_voice(segment, voiced))
            segments = () if is_impossible(candidate) else segments
        if options.chunk.language is None:
            segments = tuple(s.model_copy(update={"language": found.language}) for s in segments)
        is_sure = found.language_probability >= _SURE_LANGUAGE
        language = found.language if is_sure or last.language is None else last.language
        context: tuple[int, ...] = ()
        if options.has_context:
            context = _next_context(candidate, last.context if language == last.language else ())
        start = _next_start(chunk, found, voiced)
        return DecodedChunk(segments, language, found.language_probability, start, context)


def next_chunk(
    lane: Span,
    spans: Sequence[Span],
    start: int,
    options: LaneOptions,
    skipped: Sequence[Span] = (),
) -> Span | None:
    """
    The chunk that begins at a sample, or where speech goes on after it; None at the lane's end.

    Args:
        spans: What is decoded, in time order.
        skipped: Pauses that are left out of chunks. A chunk that holds some lasts longer.

    >>> spans = [Span(80_000, 160_000), Span(320_000, 480_000)]
    >>> next_chunk(Span(0, 960_000), spans, 0, LaneOptions(DecodeOptions("en")))
    Span(start=80000, end=160000)
    """
    least = _samples(_LEAST_STEP_S) // 4
    left = [s for s in spans if s.end > start + least and lane.start < s.end and s.start < lane.end]
    if not left or start >= lane.end:
        return None
    begin = max(start, left[0].start)
    if start == lane.start and begin - start <= _samples(_LEAD_S):
        begin = start
    limit = min(lane.end, chunk_end(begin, _samples(options.chunk_s), skipped))
    within = [span for span in left if span.start < limit]
    if options.ends_at_pauses and limit < left[-1].end:
        whole = [span.end for span in within if span.end <= limit]
        return Span(begin, whole[-1] if whole else limit)
    silences = [*pairwise(within), (within[-1], Span(lane.end, lane.end))]
    for here, after in silences:
        if after.start - here.end > _samples(MAX_PAUSE_S):
            return Span(begin, min(limit, here.end))
    return Span(begin, limit)


def _next_start(chunk: Span, found: Decoding, voiced: Sequence[Span]) -> int:
    """
    Where the lane goes on: where the text ends.

    A model may end its text with a sentence or two missing. So the text counts as complete up to
    the chunk's end only if no more than a word of speech follows the last segment.
    """
    text_end = chunk.start + _samples(found.heard_s)
    if text_end >= chunk.end and found.segments:
        last_end = chunk.start + _samples(found.segments[-1].end)
        if overlap_s(voiced, Span(last_end, chunk.end)) > _REST_S:
            text_end = last_end
    return text_end if text_end > chunk.start + _samples(_LEAST_STEP_S) else chunk.end


def _next_context(candidate: Candidate, context: tuple[int, ...]) -> tuple[int, ...]:
    """Context for the next chunk; none after a text that is in doubt or was drawn by chance."""
    found, options = candidate.decoding, candidate.options
    is_drawn = options.temperature > _RESET_ABOVE
    if found.fails_thresholds or is_impossible(candidate) or is_drawn:
        return ()
    # A text that was better without the older context is passed on without it.
    before = context if options.context else ()
    tokens = (*before, *(token for segment in found.segments for token in segment.tokens))
    n_tokens = min(len(tokens), _MAX_CONTEXT) // _CONTEXT_STEP * _CONTEXT_STEP
    return tokens[len(tokens) - n_tokens :]


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
