"""Where somebody speaks (VAD), and the lanes in which the recording is decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from shared.request import TranscriptionRequest
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource, Span
from worker.speech.sounds import find_sounds
from worker.speech.voice_activity import Method, VoiceActivity, measure_voice

MIN_LANE_S = 120.0
"""Shorter lanes would cost more than they save, because each begins without context."""

_THRESHOLD = 0.5
_HYSTERESIS = {"silero": 0.15, "pyannote": 0.137}
"""Speech ends this far below the threshold at which it begins; each model's authors chose it."""


@dataclass(frozen=True)
class SpeechOptions:
    """
    How speech is found.

    Attributes:
        method: The model that finds it.
        has_vad: If not, everything is transcribed, speech or not.
        threshold: The probability from which speech begins; None for 0.5.
        end_threshold: The probability below which it ends; None for a little below `threshold`.
        min_speech_s: Shorter bursts are dropped.
        min_silence_s: Shorter pauses do not end a span.
        pad_s: The margin at both ends of a span, so that no first sound is cut off.
        clips: The only parts to transcribe: `start, end, start, end…` in seconds, rising. The last
            end may be left out.
        n_lanes: How many chunks of one recording the device decodes at once.
    """

    method: Method = "silero"
    has_vad: bool = True
    threshold: float | None = None
    end_threshold: float | None = None
    min_speech_s: float = 0.1
    min_silence_s: float = 0.3
    pad_s: float = 0.25
    clips: tuple[float, ...] = ()
    n_lanes: int = 1

    @classmethod
    def of(cls, request: TranscriptionRequest, n_lanes: int = 1) -> Self:
        """The options of a request that concern speech."""
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
            n_lanes=n_lanes,
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
    """
    The parts of a recording that are transcribed, all in time order.

    Attributes:
        lanes: Stretches that are decoded side by side, each from its start to its end.
        spans: What is decoded within them: speech with a margin, or everything if VAD is off.
        voiced: Speech, without a margin.
        skipped: The parts of pauses that are left out of chunks.
        sounds: Other sounds, about as loud as the speech, that last over a second.
    """

    lanes: tuple[Span, ...]
    spans: tuple[Span, ...]
    voiced: tuple[Span, ...]
    skipped: tuple[Span, ...] = ()
    sounds: tuple[Span, ...] = ()

    @property
    def duration_s(self) -> float:
        """How many seconds are decoded."""
        return sum(span.duration_s for span in self.spans)


def detect_speech(
    audio: AudioSource,
    options: SpeechOptions,
    report: Callable[[float], None] = lambda fraction: None,
) -> Speech:
    """
    Find the parts of a recording that are to be transcribed.

    Args:
        report: Called now and then with the fraction done; what it raises ends the work.

    Raises:
        EngineFailed: This worker does not have the VAD model that was asked for.
    """
    clips = _clips(options.clips, audio.n_samples)
    total = sum(clip.end - clip.start for clip in clips)
    method: Method = options.method if options.has_vad else "silero"
    lanes: list[Span] = []
    spans: list[Span] = []
    voiced: list[Span] = []
    sounds: list[Span] = []
    done = 0.0
    for clip in clips:
        share = (clip.end - clip.start) / total
        activity = measure_voice(audio, clip, method, _reported_as(report, done, share))
        found = speech_spans(activity, clip, options)
        voiced += found
        sounds += find_sounds(audio, clip, found)
        spans += _padded(found, clip, options.pad_s) if options.has_vad else [clip]
        if found or not options.has_vad:
            lanes += cut_lanes(clip, found, max(1, round(options.n_lanes * share)))
        done += share
    return Speech(tuple(lanes), tuple(spans), tuple(voiced), sounds=tuple(sounds))


def _reported_as(
    report: Callable[[float], None], before: float, share: float
) -> Callable[[float], None]:
    return lambda fraction: report(min(1.0, before + share * fraction))


def _clips(times_s: Sequence[float], n_samples: int) -> list[Span]:
    """
    The parts of the audio that the caller wants.

    >>> _clips((0.5, 1, 2), 40_000)
    [Span(start=8000, end=16000), Span(start=32000, end=40000)]
    """
    ends = [min(n_samples, round(time_s * SAMPLE_RATE_HZ)) for time_s in times_s or (0,)]
    ends += [n_samples] * (len(ends) % 2)
    spans = [Span(*pair) for pair in zip(ends[::2], ends[1::2], strict=True)]
    return [span for span in spans if span.start < span.end]


def speech_spans(
    activity: VoiceActivity, part: Span, options: SpeechOptions | None = None
) -> list[Span]:
    """
    Spans of speech in a part of the audio, in time order, not overlapping.

    >>> import numpy as np
    >>> probs = np.repeat([0.0, 0.9, 0.0], 40)
    >>> speech_spans(VoiceActivity(probs, first=0, step=512), Span(0, 120 * 512))
    [Span(start=20480, end=40960)]
    """
    options = options or SpeechOptions()
    threshold, end_threshold = options.thresholds
    min_silence = options.min_silence_s * SAMPLE_RATE_HZ
    min_speech = options.min_speech_s * SAMPLE_RATE_HZ
    found: list[Span] = []
    start = quiet_since = None
    for i, speech_prob in enumerate(activity.speech_probs):
        at = min(activity.sample(i), part.end)
        if speech_prob >= threshold:
            quiet_since = None
            if start is None:
                start = at
        elif start is not None and speech_prob < end_threshold:
            quiet_since = at if quiet_since is None else quiet_since
            if at - quiet_since >= min_silence:
                found.append(Span(start, quiet_since))
                start = quiet_since = None
    if start is not None:
        found.append(Span(start, quiet_since if quiet_since is not None else part.end))
    return [span for span in found if span.end - span.start >= max(1, min_speech)]


def _padded(spans: list[Span], part: Span, pad_s: float) -> list[Span]:
    """Widen each span by `pad_s`, or by half the pause where two would meet."""
    pad = int(pad_s * SAMPLE_RATE_HZ)
    padded = []
    for i, span in enumerate(spans):
        before = span.start - spans[i - 1].end if i else 2 * pad
        after = spans[i + 1].start - span.end if i + 1 < len(spans) else 2 * pad
        start = max(part.start, span.start - min(pad, before // 2))
        padded.append(Span(start, min(part.end, span.end + min(pad, after // 2))))
    return padded


def cut_lanes(clip: Span, voiced: Sequence[Span], n_lanes: int) -> list[Span]:
    """
    Cut a part of the audio into lanes of about equal length, at its longest pauses.

    Args:
        voiced: Speech in it.
        n_lanes: The most lanes. A short part gets fewer, and so does one without pauses.

    >>> second = SAMPLE_RATE_HZ
    >>> said = [Span(0, 118 * second), Span(122 * second, 240 * second)]
    >>> [lane.duration_s for lane in cut_lanes(Span(0, 240 * second), said, 4)]
    [120.0, 120.0]
    """
    n_lanes = max(1, min(n_lanes, int(clip.duration_s / MIN_LANE_S)))
    length = (clip.end - clip.start) // n_lanes
    pauses = [Span(a.end, b.start) for a, b in zip(voiced, voiced[1:], strict=False)]
    lanes: list[Span] = []
    start = clip.start
    for n in range(1, n_lanes):
        ideal = clip.start + n * length
        near = [p for p in pauses if abs(sum(p) // 2 - ideal) < length // 4]
        if near:
            longest = max(near, key=_length)
            cut = (longest.start + longest.end) // 2
            lanes.append(Span(start, cut))
            start = cut
    return [*lanes, Span(start, clip.end)]


def _length(span: Span) -> int:
    return span.end - span.start
