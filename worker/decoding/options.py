"""The options by which the chunks of a recording are decoded, from those of the request."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.catalogue import ModelEntry
from shared.request import TranscriptionRequest
from worker.audio.constants import CHUNK_S
from worker.engines.base import DecodeOptions


@dataclass(frozen=True)
class LaneOptions:
    """
    How the chunks of a lane are decoded.

    Attributes:
        chunk: Options of every chunk; the language is None if it must be detected.
        chunk_s: The longest chunk, in seconds.
        detects_always: Detect the language in every chunk, not only in the first and in those
            that are decoded again.
        has_context: Give each chunk the text before it as context.
        ends_at_pauses: Never end a chunk within a sentence: for models that do not tell where
            their text ends.
        drops_text_in_silence: Drop text that has no speech near it, or too little for its words.
        falls_back: Decode a chunk again, without context, if its text is in doubt.
        temperatures: For further tries at a chunk whose text fails a threshold of the request.
    """

    chunk: DecodeOptions
    chunk_s: float = CHUNK_S
    detects_always: bool = False
    has_context: bool = True
    ends_at_pauses: bool = False
    drops_text_in_silence: bool = True
    falls_back: bool = True
    temperatures: tuple[float, ...] = ()


def lane_options(
    request: TranscriptionRequest, entry: ModelEntry, *, is_multilingual: bool, can_draw: bool
) -> LaneOptions:
    """
    The options of a request, for one model.

    Args:
        can_draw: Whether the engine can draw samples. If not, a higher temperature changes nothing.
    """
    detects_always = request.multilingual and is_multilingual
    language = request.language if is_multilingual else "en"
    has_context = request.condition_on_previous_text
    return LaneOptions(
        decode_options(request, None if detects_always else language),
        chunk_s=min(CHUNK_S, request.chunk_size or entry.chunk_s),
        detects_always=detects_always,
        has_context=entry.knows_context if has_context is None else has_context,
        ends_at_pauses=not entry.knows_context,
        drops_text_in_silence=request.vad,
        falls_back=request.temperature_increment != 0,
        temperatures=tuple(temperatures(request)[1:]) if can_draw else (),
    )


def decode_options(request: TranscriptionRequest, language: str | None) -> DecodeOptions:
    """The options of a request that concern a single chunk."""
    fields = set(DecodeOptions.__dataclass_fields__) - {"language", "context", "word_timestamps"}
    options = DecodeOptions(language, **{name: getattr(request, name) for name in fields})
    # Word times also tell who speaks, and how long the silence around a segment is.
    needs_words = (
        request.wants_words
        or request.diarize
        or request.hallucination_silence_threshold is not None
    )
    return replace(options, word_timestamps=needs_words)


def temperatures(request: TranscriptionRequest) -> list[float]:
    """
    The temperatures that are tried for a chunk, in order.

    >>> temperatures(TranscriptionRequest(temperature=0.4, temperature_increment=0.2))
    [0.4, 0.6, 0.8, 1.0]
    """
    first, step = request.temperature, request.temperature_increment
    if not step:
        return [first]
    return [round(first + n * step, 4) for n in range(int((1.0 - first) / step + 1e-6) + 1)]
