"""Each channel transcribed by itself: one speaker a channel, all segments in the order of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain

from shared.request import TranscriptionRequest
from shared.speaker_names import rename_speakers
from shared.transcript import Segment, SpeakerTurn, Transcript, Warned, join_text
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource, Span
from worker.decoding.checkpoints import LANES_APART, Checkpoint, Plan
from worker.decoding.lanes import DecodedChunk
from worker.decoding.progress import Report
from worker.pipeline import Extras, Models, transcribe
from worker.speech.detection import Speech


def transcribe_channels(
    channels: Sequence[AudioSource],
    request: TranscriptionRequest,
    models: Models,
    report: Report,
    *,
    model: str,
    extras: Extras = Extras(),  # noqa: B008 - it is frozen
) -> Transcript:
    """
    Transcribe each channel as if it had been sent alone, and merge the transcripts.

    Args:
        channels: The channels of one recording, all of one length.
        report, model, extras: See `pipeline.transcribe`.

    Returns:
        Segments in the order of their starts. Segments of different channels may overlap. The
        speaker of the first channel is `SPEAKER_00`, even if another channel is silent.
    """
    alone = request.model_copy(update={"multichannel": False, "speaker_names": {}})
    found: list[Transcript] = []
    kept: list[_ChannelCheckpoint] = []
    for n, audio in enumerate(channels):
        first_lane = sum(len(before.speech.lanes) for before in kept)
        kept.append(_ChannelCheckpoint(extras.checkpoint, n, first_lane, n + 1 == len(channels)))
        found.append(
            transcribe(
                audio, alone, models, _share(report, n, len(channels)),
                model=model, extras=replace(extras, checkpoint=kept[-1]),
            )
        )  # fmt: skip
    merged = _merged(found, [channel.speech for channel in kept])
    options = {**request.model_dump(mode="json", exclude_defaults=True), **merged.options}
    merged = merged.model_copy(update={"options": options})
    return rename_speakers(merged, request.speaker_names)


def speaker_of(channel: int) -> str:
    """
    The speaker of a channel, counted from 0.

    >>> speaker_of(1)
    'SPEAKER_01'
    """
    return f"SPEAKER_{channel:02d}"


def _share(report: Report, n: int, n_channels: int) -> Report:
    """A `Report` for one channel that reports how far all channels are."""
    done_s = 0.0

    def share(stage: str, fraction: float, channel_done_s: float) -> None:
        nonlocal done_s
        done_s = max(done_s, channel_done_s)
        report(stage, (n + fraction) / n_channels, done_s / n_channels)

    return share


class _ChannelCheckpoint:
    """
    The `Checkpoint` of one channel, within that of the job.

    The numbers of its lanes follow those of the channels before. So a caller who reads the text as
    it is made gets one channel after the other. Segments are kept with their speaker.

    Args:
        first_lane: How many lanes the channels before have.
    """

    def __init__(self, whole: Checkpoint, channel: int, first_lane: int, is_last: bool) -> None:
        self._whole = whole
        self._channel = channel
        self._first = first_lane * LANES_APART
        self._is_last = is_last
        self.speech = Speech((), (), ())
        """The parts of the channel that are transcribed, once they are known."""

    def recall(
        self, model: tuple[str, str, str], channel: int = 0
    ) -> tuple[Plan, Mapping[int, DecodedChunk]] | None:
        """See `Checkpoint.recall`."""
        kept = self._whole.recall(model, self._channel)
        if kept is None:
            return None
        plan, chunks = kept
        self.speech = plan.speech
        end = self._first + len(plan.speech.lanes) * LANES_APART
        own = range(self._first, end)
        return plan, {i - self._first: chunk for i, chunk in chunks.items() if i in own}

    def begin(self, plan: Plan, channel: int = 0) -> None:
        """See `Checkpoint.begin`."""
        self.speech = plan.speech
        self._whole.begin(plan, self._channel)

    def keep(self, index: int, chunk: DecodedChunk, next_index: int | None) -> None:
        """See `Checkpoint.keep`."""
        n_lanes = len(self.speech.lanes)
        ends_channel = chunk.is_last and index // LANES_APART == n_lanes - 1
        if ends_channel and not self._is_last:
            next_index = n_lanes * LANES_APART
        spoken = tuple(_spoken_by(speaker_of(self._channel), chunk.segments))
        after = None if next_index is None else self._first + next_index
        self._whole.keep(self._first + index, replace(chunk, segments=spoken), after)


def _spoken_by(speaker: str, segments: Sequence[Segment]) -> list[Segment]:
    by = {"speaker": speaker}
    spoken = []
    for segment in segments:
        words = segment.words and tuple(word.model_copy(update=by) for word in segment.words)
        spoken.append(segment.model_copy(update={**by, "words": words}))
    return spoken


def _merged(found: Sequence[Transcript], speeches: Sequence[Speech]) -> Transcript:
    """Merge the transcripts of all channels."""
    most = max(found, key=lambda channel: sum(s.end - s.start for s in channel.segments))
    is_mixed = len({channel.language for channel in found if channel.segments}) > 1
    said = [_segments_of(speaker_of(n), channel, is_mixed) for n, channel in enumerate(found)]
    segments = sorted(chain(*said), key=lambda segment: segment.start)
    numbered = tuple(s.model_copy(update={"id": n}) for n, s in enumerate(segments))
    turns = [t for one, speech in zip(said, speeches, strict=True) for t in _turns(one, speech)]
    changed = {
        "text": join_text(numbered, most.language, task=most.task),
        "segments": numbered,
        "duration": max(channel.duration for channel in found),
        "duration_after_vad": round(_length_s([s for x in speeches for s in x.spans]), 3),
        "warnings": _each_once([warned for channel in found for warned in channel.warnings]),
        "turns": tuple(sorted(turns, key=lambda turn: turn.start)),
    }
    return most.model_copy(update=changed)


def _segments_of(speaker: str, channel: Transcript, is_mixed: bool) -> list[Segment]:
    """The segments of a channel; with their language if the channels have different ones."""
    said = _spoken_by(speaker, channel.segments)
    if not is_mixed:
        return said
    return [s.model_copy(update={"language": s.language or channel.language}) for s in said]


def _turns(said: Sequence[Segment], speech: Speech) -> list[SpeakerTurn]:
    """The turns of a channel: its speech that became text."""
    turns = []
    for span in speech.voiced:
        start, end = span.start / SAMPLE_RATE_HZ, span.end / SAMPLE_RATE_HZ
        if speaker := next((s.speaker for s in said if s.start < end and start < s.end), None):
            turns.append(SpeakerTurn(speaker=speaker, start=round(start, 3), end=round(end, 3)))
    return turns


def _length_s(spans: Sequence[Span]) -> float:
    """Seconds that lie in at least one of the spans."""
    total, reached = 0, 0
    for span in sorted(spans):
        total += max(0, span.end - max(span.start, reached))
        reached = max(reached, span.end)
    return total / SAMPLE_RATE_HZ


def _each_once(warnings: Sequence[Warned]) -> tuple[Warned, ...]:
    return tuple({(warned.code, warned.message): warned for warned in warnings}.values())
