"""Which lane's chunk is decoded when, what is kept of it, and how a request becomes options."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from decodings import decoding, seconds, segment

from shared.catalogue import MODELS
from shared.request import TranscriptionRequest
from worker.audio.source import Span
from worker.decoding.checkpoints import LANES_APART, NoCheckpoint
from worker.decoding.decode import QueuePosition, Work, decode_lanes
from worker.decoding.lanes import DecodedChunk
from worker.decoding.options import LaneOptions, decode_options, lane_options, temperatures
from worker.decoding.progress import Progress
from worker.engines.base import DecodeOptions, Decoding
from worker.speech.detection import Speech

OPTIONS = LaneOptions(DecodeOptions("en"))
LANES = (seconds(0, 60), seconds(60, 120), seconds(120, 170))
SPEECH = Speech(LANES, LANES, LANES)


def say(span: Span, options: DecodeOptions) -> Decoding:
    words = " ".join(f"w{span.start}.{n}" for n in range(round(2 * span.duration_s)))
    said = segment(words, 0.0, span.duration_s, temperature=options.temperature)
    return decoding(said, heard_s=span.duration_s)


class Queue:
    """Answers the chunk added last, by a function of its span and options."""

    def __init__(self, answer: Callable[[Span, DecodeOptions], Decoding] = say) -> None:
        self._answer = answer
        self._waiting: deque[tuple[int, Span, DecodeOptions]] = deque()
        self.asked: list[tuple[int, Span, QueuePosition]] = []
        self.most_waiting = 0

    def add(
        self, index: int, span: Span, options: DecodeOptions, position: QueuePosition = "last"
    ) -> None:
        self.asked.append((index, span, position))
        self._waiting.append((index, span, options))
        self.most_waiting = max(self.most_waiting, len(self._waiting))

    def next(self) -> tuple[int, Decoding]:
        index, span, options = self._waiting.pop()
        return index, self._answer(span, options)

    def close(self) -> None:
        self._waiting.clear()


class Kept(NoCheckpoint):
    """Remembers what is kept."""

    def __init__(self) -> None:
        self.chunks: dict[int, DecodedChunk] = {}
        self.jumps: dict[int, int] = {}

    def keep(self, index: int, chunk: DecodedChunk, next_index: int | None) -> None:
        self.chunks[index] = chunk
        if next_index is not None:
            self.jumps[index] = next_index


def run(queue: Queue, n_lanes: int = 3, **fields: Any) -> dict[int, DecodedChunk]:
    values: dict[str, Any] = {"done": {}, "checkpoint": NoCheckpoint(), **fields}
    work = Work(SPEECH, OPTIONS, n_lanes, **values)
    return decode_lanes(work, queue, Progress({"transcribe": 1}, lambda *_: None))


def spans(found: Mapping[int, DecodedChunk]) -> list[int]:
    return [chunk.next_start for _, chunk in sorted(found.items())]


def test_every_lane_is_decoded_from_beginning_to_end_whatever_comes_first() -> None:
    queue = Queue()

    found = run(queue)

    assert sorted(found) == [
        0, 1, LANES_APART, LANES_APART + 1, 2 * LANES_APART, 2 * LANES_APART + 1,
    ]  # fmt: skip
    assert spans(found) == [seconds(0, at).end for at in (30, 60, 90, 120, 150, 170)]
    assert queue.most_waiting == 3


@pytest.mark.parametrize("n_lanes", [1, 2])
def test_no_more_lanes_are_decoded_at_once_than_the_device_has_places(n_lanes: int) -> None:
    queue = Queue()

    assert run(queue, n_lanes) == run(Queue())
    assert queue.most_waiting == n_lanes


def test_a_chunk_is_kept_when_it_is_done_and_tells_which_one_follows_it() -> None:
    kept = Kept()

    found = run(Queue(), checkpoint=kept)

    assert kept.chunks == found
    assert kept.jumps == {1: LANES_APART, LANES_APART + 1: 2 * LANES_APART}


def test_what_an_earlier_attempt_did_is_not_decoded_again() -> None:
    whole = run(Queue())
    queue = Queue()
    done = {n: whole[n] for n in (0, LANES_APART, LANES_APART + 1)}

    assert run(queue, done=done) == whole
    assert sorted(span.start for _, span, _ in queue.asked) == [
        seconds(at, at).start for at in (30, 120, 150)
    ]


def test_progress_is_how_much_of_the_speech_is_decoded() -> None:
    told: list[tuple[float, float]] = []
    progress = Progress({"transcribe": 1}, lambda stage, fraction, s: told.append((fraction, s)))
    work = Work(SPEECH, OPTIONS, 1, {}, NoCheckpoint())

    decode_lanes(work, Queue(), progress)

    assert told[0] == (0.0, 0.0)
    assert told[1] == (pytest.approx(30 / 170), 30.0)
    assert told[-1] == (1.0, 170.0)


def test_the_first_chunk_that_somebody_waits_to_read_goes_before_everybodys() -> None:
    def answer(span: Span, options: DecodeOptions) -> Decoding:
        needs_fallback = span.start == seconds(30, 30).start and bool(options.context)
        return replace(say(span, options), avg_logprob=-0.9 if needs_fallback else -0.1)

    queue = Queue(answer)

    run(queue, 1, is_streamed=True)

    assert [position for _, _, position in queue.asked] == [
        "first",
        "last",
        "next",
        "last",
        "last",
        "last",
        "last",
    ]


def test_nobodys_chunk_goes_first_where_nobody_reads() -> None:
    queue = Queue()

    run(queue, 1)

    assert {position for _, _, position in queue.asked} == {"last"}


@pytest.mark.parametrize(
    ("first", "step", "expected"),
    [
        (0, 0.2, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.7, 0.2, [0.7, 0.9]),
        (1, 0.2, [1]),
        (0.3, 0, [0.3]),
        (0.0, None, [0.0]),
    ],
)
def test_temperatures_rise_by_the_increment_up_to_one(
    first: float, step: float | None, expected: list[float]
) -> None:
    request = TranscriptionRequest(temperature=first, temperature_increment=step)

    assert temperatures(request) == expected


def test_every_option_of_a_request_reaches_the_chunk() -> None:
    chosen: dict[str, Any] = {
        "task": "translate", "prompt": "p", "hotwords": "h", "temperature": 0.2, "beam_size": 2,
        "best_of": 3, "patience": 1.5, "length_penalty": 0.5, "repetition_penalty": 1.2,
        "no_repeat_ngram_size": 3, "suppress_tokens": (1, 2), "suppress_numerals": True,
        "compression_ratio_threshold": 1.5, "logprob_threshold": -2.0, "no_speech_threshold": 0.3,
        "hallucination_silence_threshold": 2.0, "word_timestamps": True,
    }  # fmt: skip
    options = decode_options(TranscriptionRequest(**chosen), "de")

    assert {"language": "de", "context": (), **chosen} == vars(options)


@pytest.mark.parametrize("name", ["word_timestamps", "align", "return_char_alignments", "diarize"])
def test_words_are_found_for_whatever_needs_them(name: str) -> None:
    assert not decode_options(TranscriptionRequest(), "en").word_timestamps
    assert decode_options(TranscriptionRequest(**{name: True}), "en").word_timestamps


def options_for(model: str = "base", *, can_draw: bool = True, **asked: Any) -> LaneOptions:
    return lane_options(
        TranscriptionRequest(**asked),
        MODELS[model],
        is_multilingual=MODELS[model].is_multilingual,
        can_draw=can_draw,
    )


def test_a_real_model_is_told_what_was_said_before_and_the_phrase_book_is_not() -> None:
    real, phrases = options_for(), options_for("demo")

    assert (real.has_context, real.ends_at_pauses, real.chunk_s) == (True, False, 30.0)
    assert (phrases.has_context, phrases.ends_at_pauses, phrases.chunk_s) == (False, True, 8.0)


@pytest.mark.parametrize(
    ("asked", "field", "value"),
    [
        ({"condition_on_previous_text": False}, "has_context", False),
        ({"chunk_size": 12}, "chunk_s", 12.0),
        ({"vad": False}, "drops_text_in_silence", False),
        ({"temperature_increment": 0}, "falls_back", False),
        ({"temperature_increment": 0.5}, "temperatures", (0.5, 1.0)),
        ({"multilingual": True}, "detects_always", True),
    ],
)
def test_an_option_of_a_request_changes_how_a_lane_is_decoded(
    asked: dict[str, Any], field: str, value: object
) -> None:
    assert getattr(options_for(), field) != value
    assert getattr(options_for(**asked), field) == value


@pytest.mark.parametrize(
    ("model", "asked", "language"),
    [
        ("base", {}, None),
        ("base", {"language": "de"}, "de"),
        ("base", {"language": "de", "multilingual": True}, None),
        ("tiny.en", {}, "en"),
        ("tiny.en", {"multilingual": True}, "en"),
    ],
)
def test_the_language_is_the_one_asked_for_or_is_to_be_detected(
    model: str, asked: dict[str, Any], language: str | None
) -> None:
    assert options_for(model, **asked).chunk.language == language


def test_one_lane_after_the_other_is_decoded_from_the_middle_of_a_recording() -> None:
    lane = seconds(30, 60)
    speech = Speech((lane,), (Span(lane.start + 8_000, lane.end),), (lane,))
    queue = Queue()

    decode_lanes(
        Work(speech, OPTIONS, 1, {}, NoCheckpoint()),
        queue,
        Progress({"transcribe": 1}, lambda *_: None),
    )

    assert [span for _, span, _ in queue.asked] == [lane]


def test_an_engine_that_draws_no_samples_is_not_asked_for_other_temperatures() -> None:
    assert options_for(can_draw=False, temperature_increment=0.5).temperatures == ()
