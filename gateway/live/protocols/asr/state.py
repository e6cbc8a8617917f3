"""What a client of `/asr` is shown: lines that are final, and text that may still change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from gateway.live.sessions.text import LiveSegment, LiveText, joined

SILENCE = -2
"""The speaker of a line in which nobody speaks."""

_LEAST_SILENCE_S = 5.0
"""Only longer pauses are lines."""

Line = dict[str, Any]


@dataclass(frozen=True)
class State:
    """
    One state of the text, with the names of WhisperLiveKit's API reference.

    Attributes:
        lines: One for each segment that has ended, and one for each long pause before a segment.
            None of them ever changes.
        buffer_transcription: The words after the last line.
        remaining_s: Seconds of audio that are not dealt with; it does not count for equality.
    """

    lines: tuple[Line, ...] = ()
    buffer_transcription: str = ""
    remaining_s: float = field(default=0.0, compare=False)
    error: str | None = None

    def follow(self, text: LiveText, received_s: float) -> State:
        """
        The state after this one.

        Args:
            text: What was said so far; at least what this state shows.
            received_s: Seconds of audio that came so far.
        """
        lines = list(self.lines)
        n_shown = sum(line["speaker"] != SILENCE for line in lines)
        for segment in text.segments[n_shown:]:
            silent_from = text.segments[segment.number - 1].end if segment.number else 0.0
            if segment.start - silent_from > _LEAST_SILENCE_S:
                lines.append(_line(SILENCE, None, silent_from, segment.start))
            lines.append(_spoken(segment))
        return State(
            lines=tuple(lines),
            buffer_transcription=joined(text.open_words + text.tail),
            remaining_s=round(max(0.0, received_s - text.heard_s), 1),
        )

    def failed(self, problem: str) -> State:
        """The same, with an error that ends the session."""
        return replace(self, error=problem)

    def full(self) -> dict[str, Any]:
        """The message of `mode=full`."""
        return {"status": self._status, "lines": list(self.lines)} | self._rest()

    def message(self, before: State | None, number: int) -> dict[str, Any]:
        """
        The message of `mode=diff`.

        Args:
            before: The last state that was sent; None for the first one.
            number: Of the message, from 1.
        """
        if before is None:
            return {"type": "snapshot", "seq": number} | self.full()
        value: dict[str, Any] = {
            "type": "diff",
            "seq": number,
            "status": self._status,
            "n_lines": len(self.lines),
        }
        if new := self.lines[len(before.lines) :]:
            value["new_lines"] = list(new)
        return value | self._rest()

    @property
    def _status(self) -> str:
        is_heard = self.lines or self.buffer_transcription
        return "active_transcription" if is_heard else "no_audio_detected"

    def _rest(self) -> dict[str, Any]:
        rest: dict[str, Any] = {
            "buffer_transcription": self.buffer_transcription,
            "buffer_diarization": "",
            "buffer_translation": "",
            "remaining_time_transcription": self.remaining_s,
            "remaining_time_diarization": 0.0,
        }
        return rest if self.error is None else rest | {"error": self.error}


def _spoken(segment: LiveSegment) -> Line:
    ending = segment.ending
    # A label is SPEAKER_00 or alike; here the first speaker is 1.
    speaker = 1 if ending.speaker is None else int(ending.speaker.rpartition("_")[2]) + 1
    line = _line(speaker, segment.text, segment.start, segment.end)
    if ending.translation is not None:
        line["translation"] = ending.translation
    if ending.language is not None:
        line["detected_language"] = ending.language
    return line


def _line(speaker: int, text: str | None, start: float, end: float) -> Line:
    return {"speaker": speaker, "text": text, "start": clock(start), "end": clock(end)}


def clock(seconds: float) -> str:
    """
    A time as `H:MM:SS`, cut to whole seconds.

    >>> clock(3725.9)
    '1:02:05'
    """
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
