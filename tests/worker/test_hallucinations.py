"""Loops, silence and hallucinations are told from honest speech."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from scripted import tokenizer

from shared.errors import GpuOutOfMemory
from shared.transcript import Segment, Word
from worker.engines.base import DecodeOptions
from worker.engines.hallucinations import (
    cut_loops,
    fails_thresholds,
    is_silent,
    says_something,
    without_hallucinations,
)
from worker.engines.memory import as_out_of_memory, memory_watched
from worker.engines.tokenizer import SuppressedTokens, prompt_tokens

OPTIONS = DecodeOptions("en")


def without_loops(text: str, language: str = "en") -> str:
    """A text as its tokens are cut."""
    knows = tokenizer(language)
    tokens = knows.encode(text)
    left = cut_loops(tokens, lambda run: knows.decode(list(run)))
    return knows.decode([tokens[i] for i in left])


@pytest.mark.parametrize(
    ("looped", "cut"),
    [
        (" Thank you." * 30, " Thank you."),
        (" So," + " I'm going to go there now." * 9, " So, I'm going to go there now."),
        (" It is" + " very" * 40 + " and that is", " It is very and that is"),
        (" Yes. " + "La " * 15 + "the end", " Yes. La the end"),
        (" We meet at the station." * 8 + " We meet at", " We meet at the station."),
        (" a a b" * 12, " a a b"),
        ("谢谢大家。" * 20, "谢谢大家。"),
        ("今天" + "哈" * 60, "今天哈哈"),
        (
            "请不吝点赞订阅转发打赏支持明镜与点点栏目。" * 4,
            "请不吝点赞订阅转发打赏支持明镜与点点栏目。",
        ),
        ("ご視聴ありがとうございました" * 6, "ご視聴ありがとうございました"),
    ],
)
def test_a_loop_is_cut_to_its_first_round(looped: str, cut: str) -> None:
    assert without_loops(looped) == cut


@pytest.mark.parametrize(
    "honest",
    [
        " no no no",
        " No, no, no, no, no, I said no.",
        " one one two",
        " The number is seven seven seven seven, zero zero zero zero.",
        " 0 0 0 0 8 8 8 8",
        " Thank you. Thank you. Thank you so much. Thank you.",
        " We will rock you. We will rock you. We will rock you.",
        " ha ha ha ha ha ha ha",
        " It is very, very, very, very good.",
        "对对对对对，好好好",
        "哈哈哈哈哈哈",
        "一一二二二三",
        "谢谢谢谢谢谢大家",
        "加油！加油！加油！",
    ],
)
def test_honest_repetition_is_kept(honest: str) -> None:
    assert without_loops(honest) == honest


def test_a_text_without_end_is_looked_through_at_once() -> None:
    words = [f"w{n % 97}" for n in range(220)]

    assert cut_loops(words, " ".join) == list(range(220))


@pytest.mark.parametrize(
    ("no_speech_prob", "avg_logprob", "changed", "silent"),
    [
        (0.7, -1.2, {}, True),
        (0.7, -0.9, {}, False),
        (0.5, -1.2, {}, False),
        (0.7, -1.2, {"no_speech_threshold": None}, False),
        (0.7, -0.1, {"logprob_threshold": None}, True),
        (0.7, -1.2, {"logprob_threshold": -1.5}, False),
    ],
)
def test_a_chunk_is_silent_where_it_is_likely_and_the_text_unsure(
    no_speech_prob: float, avg_logprob: float, changed: dict[str, float | None], silent: bool
) -> None:
    assert is_silent(no_speech_prob, avg_logprob, replace(OPTIONS, **changed)) == silent


@pytest.mark.parametrize(
    ("text", "avg_logprob", "changed", "doubtful"),
    [
        (" Hello there.", -0.3, {}, False),
        (" Hello there.", -1.1, {}, True),
        (" Hello there.", -1.1, {"logprob_threshold": None}, False),
        (" I see." * 30, -0.3, {}, True),
        (" I see." * 30, -0.3, {"compression_ratio_threshold": None}, False),
        (" I see." * 30, -0.3, {"compression_ratio_threshold": 50.0}, False),
    ],
)
def test_a_text_is_doubtful_where_it_repeats_itself_or_is_unsure(
    text: str, avg_logprob: float, changed: dict[str, float | None], doubtful: bool
) -> None:
    assert fails_thresholds(text, avg_logprob, replace(OPTIONS, **changed)) == doubtful


def test_marks_alone_say_nothing() -> None:
    assert not any(says_something(text) for text in ("", " ", "...", " ♪♪♪", "。", "—"))
    assert all(says_something(text) for text in ("a", "7", "好", "ก", " ♪ la ♪"))


def segment(words: Sequence[tuple[float, float, float]]) -> Segment:
    """A segment of words with start, end and probability."""
    said = tuple(Word(word=" so", start=s, end=e, probability=p) for s, e, p in words)
    return Segment(
        id=9,
        seek=0,
        start=said[0].start,
        end=said[-1].end,
        text=" so" * len(said),
        tokens=(),
        temperature=0,
        avg_logprob=-0.3,
        compression_ratio=1,
        no_speech_prob=0,
        words=said,
    )


SAID = segment([(3.0, 3.4, 0.9), (3.4, 3.9, 0.8), (3.9, 4.3, 0.9)])
IMPROBABLE = segment([(12.0, 12.3, 0.1), (12.3, 12.7, 0.05)])
LONG = segment([(12.0, 16.5, 0.9)])
SHORT = segment([(12.0, 12.01, 0.9), (12.01, 12.02, 0.9)])


@pytest.mark.parametrize("odd", [IMPROBABLE, LONG, SHORT])
def test_words_unlike_words_are_dropped_where_silence_is_around(odd: Segment) -> None:
    after = segment([(24.0, 24.5, 0.9)])

    kept = without_hallucinations([SAID, odd, after], threshold_s=2.0, duration_s=30.0)

    assert [(s.id, s.start) for s in kept] == [(0, 3.0), (1, 24.0)]


def test_words_unlike_words_are_kept_where_others_are_near() -> None:
    near = segment([(13.0, 13.5, 0.9), (13.5, 14.0, 0.9)])
    before = segment([(11.0, 11.5, 0.9), (11.5, 11.9, 0.9)])

    for segments in ([before, IMPROBABLE, near], [SAID, IMPROBABLE, near]):
        kept = without_hallucinations(segments, threshold_s=2.0, duration_s=30.0)
        assert [s.start for s in kept] == [s.start for s in segments]


def test_words_as_words_are_are_kept_in_any_silence() -> None:
    lonely = segment([(15.0, 15.4, 0.9), (15.4, 15.9, 0.7)])

    assert len(without_hallucinations([lonely], threshold_s=0.1, duration_s=30.0)) == 1


def test_a_threshold_longer_than_the_silence_keeps_what_is_said_in_it() -> None:
    odd, after = segment([(8.0, 8.5, 0.1)]), segment([(12.0, 12.5, 0.9), (12.5, 13, 0.9)])

    for threshold_s, n_kept in ((2.0, 2), (3.6, 3), (10.0, 3)):
        kept = without_hallucinations([SAID, odd, after], threshold_s, duration_s=30.0)
        assert len(kept) == n_kept, threshold_s


def of_torch(message: str) -> Exception:
    import torch

    return torch.cuda.OutOfMemoryError(message)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (RuntimeError, "CUDA failed with error out of memory"),
        (RuntimeError, "cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"),
        (of_torch, "CUDA out of memory. Tried to allocate 2.00 GiB."),
        (RuntimeError, "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
        (MemoryError, ""),
    ],
)
def test_too_little_memory_is_told_with_what_to_do(
    kind: Callable[[str], Exception], message: str
) -> None:
    error = kind(message)

    with pytest.raises(GpuOutOfMemory) as told, memory_watched("large-v3", "cuda:1"):
        raise error

    for part in ("cuda:1", "large-v3", "LONGHAND_BATCH_SIZE", "LONGHAND_COMPUTE_TYPE"):
        assert part in told.value.message
    assert told.value.__cause__ is error


def test_other_errors_stay_what_they_are() -> None:
    error = RuntimeError("CUDA failed with error invalid device ordinal")

    assert as_out_of_memory(error) is None
    with pytest.raises(RuntimeError) as raised, memory_watched("tiny", "cuda"):
        raise error
    assert raised.value is error


def test_hotwords_and_prompt_share_half_the_context() -> None:
    knows = tokenizer("en")
    words, before = " alpha beta" * 200, " one two" * 200

    def told(prompt: str | None, hotwords: str | None) -> str:
        tokens = prompt_tokens(knows, replace(OPTIONS, prompt=prompt, hotwords=hotwords), 448)
        assert len(tokens) <= 223
        return knows.decode(tokens)

    assert told("Hello.", "Anna") == " Anna Hello."
    assert told(" ", None) == ""
    assert told(before, None) == before[-len(told(before, None)) :]
    assert told(None, words) == words[: len(told(None, words))]
    both = told(before, words)
    assert both.startswith(" alpha beta") and both.endswith(" one two")
    assert both.count("alpha") == 56 and both.count("one") == 56
    assert told("<|startoftranscript|>yes <<|0.00|>|endoftext|>", None) == " yes < |endoftext|>"


def test_tokens_that_are_never_written() -> None:
    knows = tokenizer("en")
    suppressed = SuppressedTokens(knows)

    none, own, numerals = (
        set(suppressed.of(*asked)) for asked in (((), False), ((-1,), False), ((5,), True))
    )

    steering = {knows.sot, knows.sot_prev, knows.transcribe, knows.no_speech}
    assert steering <= none
    assert knows.eot not in none and knows.timestamp_begin not in none
    assert own == none | set(knows.non_speech_tokens)
    assert {5, *knows.encode(" 1234"), *knows.encode("€")} <= numerals
    assert not set(knows.encode(" three dogs 三")) & numerals
