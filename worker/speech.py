"""Where somebody speaks, and how to cut it into chunks a model takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from shared.request import TranscriptionRequest
from worker.audio import SAMPLE_RATE_HZ, AudioSource, Span
from worker.voice_activity import Method, VoiceActivity, measure_loudness, measure_voice

MAX_CHUNK_S = 30.0
"""What Whisper hears at once."""

MAX_PAUSE_S = 5.0
"""A chunk holds no longer pause: into long silence a model may write what nobody said."""

_THRESHOLD = 0.5
_HYSTERESIS = {"silero": 0.15, "pyannote": 0.137}
"""How far below its beginning speech ends, as the authors of each model (and whisperx) have it."""


@dataclass(frozen=True)
class SpeechOptions:
    """
    Attributes:
        method: The model that finds speech.
        has_vad: Otherwise everything counts as speech, and is cut where it is quiet.
        threshold: A level at least this probable is speech; `None` is the method's own, 0.5.
        end_threshold: Speech ends below this; `None` is a little less than `threshold`.
        min_speech_s: Shorter bursts are dropped.
        min_silence_s: Shorter pauses do not end a span.
        pad_s: Added at both ends of a span, so that no first sound is cut off.
        clips: Only these parts are heard: `start, end, start, end…` in seconds, rising; the
            last may lack its end.
        max_chunk_s: No chunk is longer.
    """

    method: Method = "silero"
    has_vad: bool = True
    threshold: float | None = None
    end_threshold: float | None = None
    min_speech_s: float = 0.1
    min_silence_s: float = 0.3
    pad_s: float = 0.25
    clips: tuple[float, ...] = ()
    max_chunk_s: float = MAX_CHUNK_S

    @classmethod
    def of(cls, request: TranscriptionRequest, chunk_s: float) -> Self:
        """
        What of a request concerns the search for speech.

        Args:
            chunk_s: The longest chunk the model is good at; who asks for another length has it.
        """
        given_ms = {
            "min_speech_s": request.min_speech_duration_ms,
            "min_silence_s": request.min_silence_duration_ms,
            "pad_s": request.speech_pad_ms,
        }
        return cls(
            method=request.vad_method,
            has_vad=request.vad,
            threshold=request.vad_onset,
            end_threshold=request.vad_offset,
            clips=request.clip_timestamps,
            max_chunk_s=min(MAX_CHUNK_S, request.chunk_size or chunk_s),
            **{name: ms / 1000 for name, ms in given_ms.items() if ms is not None},
        )

    @property
    def thresholds(self) -> tuple[float, float]:
        """
        Where speech begins and where it ends.

        >>> SpeechOptions().thresholds, SpeechOptions(threshold=0.8).thresholds
        ((0.5, 0.35), (0.8, 0.65))
        """
        begin = _THRESHOLD if self.threshold is None else self.threshold
        end = self.end_threshold
        return begin, round(max(0.01, begin - _HYSTERESIS[self.method]), 6) if end is None else end


@dataclass(frozen=True)
class Speech:
    """Where somebody speaks: chunks ready for a model, and how many seconds of speech in all."""

    chunks: tuple[Span, ...]
    duration_s: float


def look_for_speech(
    audio: AudioSource,
    options: SpeechOptions,
    note: Callable[[float], None] = lambda fraction: None,
) -> Speech:
    """
    Find what is to be transcribed, in chunks in time order.

    Args:
        note: Called now and then with the fraction done; what it raises ends the work.

    Raises:
        EngineFailed: This worker lacks the model that is asked for.
    """
    clips = _clips(options.clips, audio.n_samples)
    total = sum(clip.end - clip.start for clip in clips)
    chunks: list[Span] = []
    heard = found_s = 0.0
    for clip in clips:
        share = (clip.end - clip.start) / total
        note_clip = _noted_as(note, heard, share)
        if options.has_vad:
            levels = measure_voice(audio, clip, options.method, note_clip)
            spans = find_speech(levels, clip, options)
        else:
            levels = measure_loudness(audio, clip, note_clip)
            spans = [clip]
        chunks += cut_chunks(spans, levels, options.max_chunk_s)
        found_s += sum(span.duration_s for span in spans)
        heard += share
    return Speech(tuple(chunks), found_s)


def _noted_as(
    note: Callable[[float], None], before: float, share: float
) -> Callable[[float], None]:
    return lambda fraction: note(min(1.0, before + share * fraction))


def _clips(times_s: Sequence[float], n_samples: int) -> list[Span]:
    """
    The parts of the audio that are wanted.

    >>> _clips((0.5, 1, 2), 40_000)
    [Span(start=8000, end=16000), Span(start=32000, end=40000)]
    """
    ends = [min(n_samples, round(time_s * SAMPLE_RATE_HZ)) for time_s in times_s or (0,)]
    ends += [n_samples] * (len(ends) % 2)
    spans = [Span(*pair) for pair in zip(ends[::2], ends[1::2], strict=True)]
    return [span for span in spans if span.start < span.end]


def find_speech(
    activity: VoiceActivity, part: Span, options: SpeechOptions | None = None
) -> list[Span]:
    """
    Spans of a part of the audio in which somebody speaks, padded, in order, not overlapping.

    >>> import numpy as np
    >>> levels = np.repeat([0.0, 0.9, 0.0], 40)
    >>> find_speech(VoiceActivity(levels, first=0, step=512), Span(0, 120 * 512))
    [Span(start=16480, end=44960)]
    """
    options = options or SpeechOptions()
    threshold, end_threshold = options.thresholds
    min_silence = options.min_silence_s * SAMPLE_RATE_HZ
    min_speech = options.min_speech_s * SAMPLE_RATE_HZ
    found: list[Span] = []
    start = quiet_since = None
    for i, level in enumerate(activity.levels):
        at = min(activity.sample(i), part.end)
        if level >= threshold:
            quiet_since = None
            if start is None:
                start = at
        elif start is not None and level < end_threshold:
            quiet_since = at if quiet_since is None else quiet_since
            if at - quiet_since >= min_silence:
                found.append(Span(start, quiet_since))
                start = quiet_since = None
    if start is not None:
        found.append(Span(start, quiet_since if quiet_since is not None else part.end))
    kept = [span for span in found if span.end - span.start >= max(1, min_speech)]
    return _pad(kept, part, int(options.pad_s * SAMPLE_RATE_HZ))


def _pad(spans: list[Span], part: Span, pad: int) -> list[Span]:
    """Widen each span by `pad`, or by half the pause where two would meet."""
    padded = []
    for i, span in enumerate(spans):
        before = span.start - spans[i - 1].end if i else 2 * pad
        after = spans[i + 1].start - span.end if i + 1 < len(spans) else 2 * pad
        start = max(part.start, span.start - min(pad, before // 2))
        padded.append(Span(start, min(part.end, span.end + min(pad, after // 2))))
    return padded


def cut_chunks(
    spans: Sequence[Span], activity: VoiceActivity, max_s: float = MAX_CHUNK_S
) -> list[Span]:
    """
    Pack speech into chunks of at most `max_s`, cut where it is quietest.

    A chunk runs from the start of its first span to the end of its last, with
    the pauses between them, so that times within it need only its start added.
    """
    longest, longest_pause = int(max_s * SAMPLE_RATE_HZ), int(MAX_PAUSE_S * SAMPLE_RATE_HZ)
    chunks: list[Span] = []
    for span in spans:
        for piece in _split(span, activity, longest):
            if (
                chunks
                and piece.end - chunks[-1].start <= longest
                and piece.start - chunks[-1].end <= longest_pause
            ):
                chunks[-1] = Span(chunks[-1].start, piece.end)
            else:
                chunks.append(piece)
    return chunks


def _split(span: Span, activity: VoiceActivity, longest: int) -> list[Span]:
    """
    Cut a span longer than `longest` at the quietest place of each last third.

    The last two pieces share what is left, so that neither is a syllable.
    """
    pieces = []
    start, end = span
    while (rest := end - start) > longest:
        first = start + min(longest * 2 // 3, rest // 2)
        last = start + min(longest, rest - longest // 6)
        at = activity.quietest(first, last)
        pieces.append(Span(start, at))
        start = at
    return [*pieces, Span(start, end)]
