"""One lane of a recording: chunk after chunk, each begun where the text of the last one ended."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from shared.transcript import Segment
from worker.audio.constants import CHUNK_S, SAMPLE_RATE_HZ
from worker.audio.source import Span
from worker.decoding import looks
from worker.decoding.looks import Look, better, is_doubtful, likelier, shared_s
from worker.decoding.pauses import end_of
from worker.decoding.placing import is_heard, place_segments
from worker.decoding.repeats import as_often_as_said
from worker.engines.base import DecodeOptions, Decoding
from worker.speech.search import Speech

MAX_PAUSE_S = 5.0
"""A chunk ends where a longer pause begins: into silence a model may write what nobody said."""

_LEAD_S = 1.0
"""At its beginning a recording is heard from its first sample, if speech begins so soon."""

_REST_S = 1.0
"""So much speech after the last segment is decoded again, though the model ended its text."""

_LEAST_BEFORE_HOLE_S = 1.0
"""A chunk that ends before a hole, speech without text, is at least so long."""

_MOST_CUTS = 2
"""In a row: before a hole, then in a pause within it. A song would be heard second by second."""

_GAP_S = 0.3
"""A chunk that is to be shorter ends in a pause of so much."""

_LEAST_STEP_S = 0.2
"""A lane that went on so near to where a chunk began would stand still."""

_MAX_CONTEXT = 96
"""Tokens of context: more gave no fewer errors, and Whisper's 223 must hold a prompt, too."""

_CONTEXT_STEP = 32
"""Contexts have lengths in steps: CTranslate2 takes prompts of one length in a batch."""

_SURE_LANGUAGE = 0.5
"""A detected language less probable than this does not take the place of the one before."""

_RESET_ABOVE = 0.5
"""A text drawn at a higher temperature is not told to the chunk after it."""


@dataclass(frozen=True)
class LaneOptions:
    """
    How the chunks of a lane are decoded.

    Attributes:
        chunk: Of every chunk; its language is None where none was asked for.
        chunk_s: No chunk is longer.
        detects_always: Whether the language is detected in every chunk; else in the first, and
            again where a text is in doubt.
        has_context: Whether a chunk is told what was said before it.
        ends_at_pauses: Whether a chunk must not end within a sentence: for a model that does not
            tell how far it heard.
        drops_unheard: Whether text counts only near a voice that is heard long enough to say it.
        looks_twice: Whether a doubtful chunk is decoded again, without context.
        temperatures: Of more tries at a chunk whose text fails a threshold of the request.
    """

    chunk: DecodeOptions
    chunk_s: float = CHUNK_S
    detects_always: bool = False
    has_context: bool = True
    ends_at_pauses: bool = False
    drops_unheard: bool = True
    looks_twice: bool = True
    temperatures: tuple[float, ...] = ()


@dataclass(frozen=True)
class Ask:
    """A chunk that is to be decoded; `is_again` where it was decoded before in another way."""

    chunk: Span
    options: DecodeOptions
    is_again: bool = False


@dataclass(frozen=True)
class Done:
    """
    A chunk that is done, and how its lane goes on.

    Attributes:
        segments: With times of the whole recording.
        language: Of the chunks that follow; None before the first.
        language_probability: How sure it was where it was detected; else 1.
        next_start: The sample at which the lane goes on.
        context: Tokens that the next chunk is told.
        is_last: Whether nothing is left of the lane.
        n_cuts: So many chunks in a row, this one the last, ended where there was a hole.
    """

    segments: tuple[Segment, ...]
    language: str | None
    language_probability: float
    next_start: int
    context: tuple[int, ...] = ()
    is_last: bool = False
    n_cuts: int = 0


class Lane:
    """
    The way through one lane: `ask` says what is to be decoded next, `take` is given what came out.

    Args:
        span: The lane.
        last: Its last chunk that is done already; None to begin.
    """

    def __init__(
        self, span: Span, speech: Speech, options: LaneOptions, last: Done | None = None
    ) -> None:
        begun = Done((), options.chunk.language, 1.0, span.start)
        self._steps = _walk(span, speech, options, last or begun)
        self.ask = self._next_ask()

    def take(self, decoding: Decoding) -> Done | None:
        """Go on with what was decoded; the chunk, if it is done now."""
        step = self._steps.send(decoding)
        if isinstance(step, Ask):
            self.ask = step
            return None
        self.ask = self._next_ask()
        return step

    def _next_ask(self) -> Ask | None:
        step = next(self._steps, None)
        assert not isinstance(step, Done)
        return step


def _walk(
    lane: Span, speech: Speech, options: LaneOptions, last: Done
) -> Generator[Ask | Done, Decoding, None]:
    """Yield what is to be decoded, get what came out, and yield each chunk that is done."""
    chunk = next_chunk(lane, speech.spans, last.next_start, options, speech.skipped)
    while chunk is not None:
        look = yield from _look_at(chunk, speech, options, last)
        n_cuts = 0
        if options.looks_twice and look.hole is not None and last.n_cuts < _MOST_CUTS:
            chunk, look = yield from _stop_before_hole(chunk, look, speech, options, last)
            # A short chunk that is all right shows that it was well cut: so may the next one be.
            n_cuts = last.n_cuts + 1 if is_doubtful(look) else 0
        done = _finish(chunk, look, speech, options, last)
        chunk = next_chunk(lane, speech.spans, done.next_start, options, speech.skipped)
        last = replace(done, is_last=chunk is None, n_cuts=n_cuts)
        yield last


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
        skipped: What is left out of a chunk, so that it may last the longer.

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
    limit = min(lane.end, end_of(begin, _samples(options.chunk_s), skipped))
    within = [span for span in left if span.start < limit]
    if options.ends_at_pauses and limit < left[-1].end:
        whole = [span.end for span in within if span.end <= limit]
        return Span(begin, whole[-1] if whole else limit)
    silences = [*pairwise(within), (within[-1], Span(lane.end, lane.end))]
    for here, after in silences:
        if after.start - here.end > _samples(MAX_PAUSE_S):
            return Span(begin, min(limit, here.end))
    return Span(begin, limit)


def _look_at(
    chunk: Span, speech: Speech, options: LaneOptions, last: Done
) -> Generator[Ask | Done, Decoding, Look]:
    """Decode a chunk, and again in other ways for as long as its text is in doubt."""
    asked = replace(
        options.chunk,
        language=None if options.detects_always else last.language,
        context=last.context if options.has_context else (),
    )
    decoding = yield Ask(chunk, asked)
    best = _look(chunk, asked, decoding, speech)
    plain = replace(asked, context=(), language=options.chunk.language)
    if options.looks_twice and plain != asked and is_doubtful(best):
        decoding = yield Ask(chunk, plain, is_again=True)
        other = _look(chunk, plain, decoding, speech)
        best = best if looks.says_again(last.segments, best, other) else better(best, other)
    for temperature in options.temperatures:
        if not best.decoding.needs_fallback:
            break
        drawn = replace(plain, temperature=temperature)
        decoding = yield Ask(chunk, drawn, is_again=True)
        best = likelier(best, _look(chunk, drawn, decoding, speech))
    return best


def _look(chunk: Span, options: DecodeOptions, decoding: Decoding, speech: Speech) -> Look:
    found = as_often_as_said(decoding, chunk, options, speech.voiced, speech.skipped)
    return Look.at(chunk, options, found, speech.voiced)


def _stop_before_hole(
    chunk: Span, look: Look, speech: Speech, options: LaneOptions, last: Done
) -> Generator[Ask | Done, Decoding, tuple[Span, Look]]:
    """
    Keep the text before much speech without text, so that the next chunk begins there.

    Where the chunk begins with it, a shorter one is decoded: up to the first pause.
    """
    n_before, start_s = look.hole or (0, 0.0)
    if n_before and start_s >= _LEAST_BEFORE_HOLE_S:
        kept = look.decoding.segments[:n_before]
        return chunk, replace(look, decoding=replace(look.decoding, segments=kept, heard_s=start_s))
    least = chunk.start + _samples(_LEAST_BEFORE_HOLE_S)
    for here, after in pairwise(speech.voiced):
        if least < here.end < after.start < chunk.end and after.start - here.end > _samples(_GAP_S):
            shorter = Span(chunk.start, (here.end + after.start) // 2)
            other = yield from _look_at(shorter, speech, options, last)
            return shorter, other
    return chunk, look


def _finish(chunk: Span, look: Look, speech: Speech, options: LaneOptions, last: Done) -> Done:
    """What becomes of a chunk's text, and of the lane after it."""
    found = look.decoding
    segments = place_segments(found.segments, chunk, speech.voiced)
    if options.drops_unheard:
        segments = tuple(segment for segment in segments if is_heard(segment, speech.voiced))
        segments = () if looks.is_impossible(look) else segments
    if options.chunk.language is None:
        segments = tuple(s.model_copy(update={"language": found.language}) for s in segments)
    is_sure = found.language_probability >= _SURE_LANGUAGE
    language = found.language if is_sure or last.language is None else last.language
    context: tuple[int, ...] = ()
    if options.has_context:
        context = _context_after(look, last.context if language == last.language else ())
    start = _next_start(chunk, look, speech)
    return Done(segments, language, found.language_probability, start, context)


def _next_start(chunk: Span, look: Look, speech: Speech) -> int:
    """
    Where the lane goes on: where the text ends.

    A model may end its text for good with a sentence or two left to tell. So the end of the
    chunk counts only if no more than a word of speech lies after the last segment.
    """
    found = look.decoding
    heard = chunk.start + _samples(found.heard_s)
    if heard >= chunk.end and found.segments:
        told = chunk.start + _samples(found.segments[-1].end)
        if shared_s(speech.voiced, Span(told, chunk.end)) > _REST_S:
            heard = told
    return heard if heard > chunk.start + _samples(_LEAST_STEP_S) else chunk.end


def _context_after(look: Look, context: tuple[int, ...]) -> tuple[int, ...]:
    """Tokens for the next chunk: none of a text that is not to be believed, or drawn by chance."""
    found = look.decoding
    if found.needs_fallback or looks.is_impossible(look) or look.options.temperature > _RESET_ABOVE:
        return ()
    # A text that was better without what was said before is told without it, too.
    before = context if look.options.context else ()
    tokens = (*before, *(token for segment in found.segments for token in segment.tokens))
    n_tokens = min(len(tokens), _MAX_CONTEXT) // _CONTEXT_STEP * _CONTEXT_STEP
    return tokens[len(tokens) - n_tokens :]


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
