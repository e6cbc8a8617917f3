"""When it is said: segments, words and subtitles beside the truth."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest
import srt
from real_speech import CONVERSATION, n_errors, text_of, turns_of

from shared.formats import render
from shared.transcript import Transcript

pytestmark = pytest.mark.speech

Hear = Callable[..., Transcript]

TURNS = turns_of("conversation")


def start_errors(heard: Transcript) -> list[float]:
    """How far from the beginning of each turn the nearest segment begins, in seconds."""
    starts = [segment.start for segment in heard.segments]
    return [min(abs(start - turn.start) for start in starts) for turn in TURNS]


def test_the_conversation_is_written_word_for_word(conversation: Transcript) -> None:
    assert n_errors(text_of(TURNS), conversation.text) <= 1


def test_times_of_words_change_no_text(hear: Hear, conversation: Transcript) -> None:
    timed = hear(CONVERSATION, word_timestamps=True, align=False)

    assert timed.text == conversation.text
    words = [word for segment in timed.segments for word in segment.words or ()]
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert len(words) == len(timed.text.split())


def test_segments_begin_where_somebody_does(conversation: Transcript) -> None:
    errors = start_errors(conversation)

    assert median(errors) <= 0.1  # 0.23 s is faster-whisper's
    assert max(errors) < 0.3


def test_segments_come_in_order_and_none_goes_on_past_the_end(
    conversation: Transcript,
) -> None:
    times = [time for segment in conversation.segments for time in (segment.start, segment.end)]

    assert times == sorted(times)
    assert times[0] >= 0 and times[-1] <= conversation.duration


def test_subtitles_come_in_order(conversation: Transcript) -> None:
    cues = list(srt.parse(str(render(conversation, "srt"))))

    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1))
    assert all(cue.start < cue.end for cue in cues)
    assert all(a.end <= b.start for a, b in pairwise(cues))
    assert cues[-1].end.total_seconds() <= conversation.duration
    assert n_errors(text_of(TURNS), " ".join(cue.content for cue in cues)) <= 1


class Letters(NamedTuple):
    """What is said, without spaces and marks; when the word begins that begins at a letter."""

    text: str
    starts: dict[int, float]


def starts_by_letter(words: Iterable[tuple[str, float]]) -> Letters:
    """Words of any cut: `ill-disposed` is one of ours, and two of the truth."""
    text, starts = "", {}
    for word, start_s in words:
        starts[len(text)] = start_s
        text += re.sub(r"\W", "", word).lower()
    return Letters(text, starts)


@pytest.mark.parametrize("clip", ["austen_0880.wav", "austen_0930.wav", "austen_0890.wav"])
def test_words_begin_where_they_are_said(hear: Hear, speech_dir: Path, clip: str) -> None:
    truth = json.loads((speech_dir / "words_austen.json").read_text())[clip]

    heard = hear(speech_dir / "clips" / clip, word_timestamps=True, align=False)

    said = starts_by_letter((word["word"], word["start"]) for word in truth)
    found = starts_by_letter(
        (word.word, word.start) for segment in heard.segments for word in segment.words or ()
    )
    assert found.text == said.text
    errors = [abs(start_s - said.starts[at]) for at, start_s in found.starts.items()]
    assert median(errors) < 0.15
    assert max(errors) < 0.5
