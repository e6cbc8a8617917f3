"""Every option of a decoding changes what an engine writes, or the engine says that it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from random_whisper import for_engines, write_random
from scripted import tokenizer, write_scripted
from spoken import draw_utterances

from models.training.demo_model.scores import padded
from shared.transcript import Segment
from worker.engines import ENGINES, open_engine
from worker.engines.base import Chunk, DecodeOptions, Decoding, Engine

pytestmark = pytest.mark.speech

OFF: dict[str, Any] = {
    "compression_ratio_threshold": None,
    "logprob_threshold": None,
    "no_speech_threshold": None,
}
"""Noise fails every threshold."""

SAYING = " I have 3 dogs, no, no, no, and 5€ [for you]."

Engines = dict[str, Engine]
DecodeOnce = Callable[[str, dict[str, Any]], list[Decoding]]


@pytest.fixture(scope="module", params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def engines(engine_name: str, made_models: dict[str, Any]) -> Engines:
    """One engine with each model."""
    return {
        model: open_engine(
            engine_name, paths[engine_name], device="cpu", compute_type="float32", threads=1
        )
        for model, paths in made_models.items()
    }


@pytest.fixture(scope="module")
def made_models(tmp_path_factory: pytest.TempPathFactory, demo_model: Path) -> dict[str, Any]:
    """A model of random weights, one that writes what it is told, and the one that hears."""
    folder = tmp_path_factory.mktemp("models")
    write_random(folder / "random.pt")
    write_scripted(folder / "scripted.pt", [SAYING], "en", segment_s=2.0)
    made = {
        model: for_engines(folder / f"{model}.pt", folder / model)
        for model in ("random", "scripted")
    }
    return {**made, "demo": dict.fromkeys(ENGINES, demo_model)}


@pytest.fixture(scope="module")
def said() -> list[Any]:
    return [padded(u)[:30_000] for u in draw_utterances(3, seed=3)]


def decode(engine: Engine, said: Sequence[Any], options: dict[str, Any]) -> list[Decoding]:
    asked = DecodeOptions(**{"language": "en", **OFF, **options})
    return engine.transcribe([Chunk(waveform, asked) for waveform in said])


@pytest.fixture(scope="module")
def decode_once(engines: Engines, said: list[Any]) -> DecodeOnce:
    """A function that decodes with a model, and gives the same again for the same options."""
    found: dict[tuple[str, DecodeOptions], list[Decoding]] = {}

    def run(model: str, options: dict[str, Any]) -> list[Decoding]:
        key = model, DecodeOptions(**{"language": "en", **OFF, **options})
        if key not in found:
            found[key] = decode(engines[model], said, options)
        return found[key]

    return run


def nearly(waveform: Any, n_times: int) -> list[Any]:
    """The same sound a little less loud each time: of equal samples the same text is drawn."""
    return [waveform * (1 - 0.001 * n) for n in range(n_times)]


def segments_of(found: Sequence[Decoding]) -> list[Segment]:
    return [segment for decoding in found for segment in decoding.segments]


def tokens_of(found: Sequence[Decoding]) -> object:
    return [[s.tokens for s in decoding.segments] for decoding in found]


def has_text(found: Sequence[Decoding]) -> object:
    return any(decoding.segments for decoding in found)


def has_words(found: Sequence[Decoding]) -> object:
    return any(segment.words for segment in segments_of(found))


def fails(found: Sequence[Decoding]) -> object:
    return any(decoding.fails_thresholds for decoding in found)


class Case(NamedTuple):
    """An option as it is and otherwise, and what of a decoding has to change with it."""

    was: object
    becomes: object
    seen: Callable[[Sequence[Decoding]], object] = tokens_of
    model: str = "random"
    beside: dict[str, Any] = {}


CASES = {
    "language": Case("en", "zh"),
    "task": Case("transcribe", "translate"),
    "prompt": Case(None, "Hello there"),
    "context": Case((), (2425, 456)),
    "hotwords": Case(None, "Hello there"),
    "temperature": Case(0.0, 1.0, beside={"best_of": 1}),
    "beam_size": Case(5, 1),
    "patience": Case(1.0, 4.0, beside={"length_penalty": 3.0}),  # long texts end late
    "length_penalty": Case(1.0, 3.0),
    "repetition_penalty": Case(1.0, 3.0),
    "no_repeat_ngram_size": Case(0, 2, model="scripted"),
    "suppress_tokens": Case((-1,), (), model="scripted"),
    "suppress_numerals": Case(False, True, model="scripted"),
    "compression_ratio_threshold": Case(None, 0.01, fails),
    "logprob_threshold": Case(-0.1, -99.0, has_text, beside={"no_speech_threshold": 0.0}),
    "no_speech_threshold": Case(None, 0.0, has_text),
    "hallucination_silence_threshold": Case(None, 0.1),
    "word_timestamps": Case(False, True, has_words),
}


def test_every_option_has_a_case() -> None:
    assert {*CASES, "best_of"} == {field.name for field in fields(DecodeOptions)}


@pytest.mark.promise("S0-13", "C-23")
@pytest.mark.parametrize("field", CASES)
def test_an_option_changes_what_is_written_unless_the_engine_says_it_ignores_it(
    engine_name: str, decode_once: DecodeOnce, field: str
) -> None:
    case = CASES[field]

    before, after = (
        case.seen(decode_once(case.model, {**case.beside, field: value}))
        for value in (case.was, case.becomes)
    )

    assert (after != before) == (field not in ENGINES[engine_name].ignores)


def test_nothing_else_changes_what_is_written(engines: Engines, said: list[Any]) -> None:
    assert decode(engines["random"], said, {}) == decode(engines["random"], said, {})


def test_the_same_audio_is_drawn_the_same_text_by_openai_whisper(
    made_models: dict[str, Any], said: list[Any]
) -> None:
    path = made_models["random"]["openai_whisper"]
    engine = open_engine("openai_whisper", path, device="cpu", compute_type="float32", threads=1)
    drawn = {"temperature": 1.0, "best_of": 1}

    first, again, other = (decode(engine, said[n : n + 1], drawn) for n in (0, 0, 1))

    assert tokens_of(first) == tokens_of(again) != tokens_of(other)


def test_the_best_of_many_samples_is_likelier_than_one(
    engine_name: str, engines: Engines, said: list[Any]
) -> None:
    engine = engines["demo"]
    one, many = (
        [
            d.segments[0].avg_logprob
            for d in decode(engine, nearly(said[0], n_times), {"temperature": 2.0, "best_of": n})
            if d.segments
        ]
        for n, n_times in ((1, 16), (12, 6))
    )

    pairs = [best > single for best in many for single in one]
    assert len(pairs) > 50
    if "best_of" in ENGINES[engine_name].ignores:
        assert one[: len(many)] == many
    else:
        # Of 12 it is 0.92, give or take 0.05; of one 0.5, give or take 0.15.
        assert sum(pairs) / len(pairs) > 0.7


def test_no_numeral_is_written_where_they_are_suppressed(engines: Engines, said: list[Any]) -> None:
    [plain], [written] = (
        decode(engines["scripted"], said[:1], {"suppress_numerals": n, "suppress_tokens": ()})
        for n in (False, True)
    )

    assert [s.text for s in plain.segments] == [SAYING]
    assert not set("35€") & set("".join(s.text for s in written.segments))


def test_tokens_that_are_suppressed_are_not_written(engines: Engines, said: list[Any]) -> None:
    [dogs] = tokenizer("en").encode(" dogs")

    [found] = decode(engines["scripted"], said[:1], {"suppress_tokens": (dogs, 10**6, -7)})

    assert SAYING.partition(" dogs")[0] in found.segments[0].text
    assert " dogs" not in found.segments[0].text
    assert "[for you]" in found.segments[0].text  # not Whisper's own list, this time


def test_no_run_of_tokens_comes_twice(engines: Engines, said: list[Any]) -> None:
    [found] = decode(engines["scripted"], said[:1], {"no_repeat_ngram_size": 2})

    tokens = [token for segment in found.segments for token in segment.tokens]
    runs = list(zip(tokens, tokens[1:], strict=False))
    assert len(set(runs)) == len(runs)


def test_a_prompt_and_hotwords_beyond_all_bounds_are_cut(engines: Engines, said: list[Any]) -> None:
    engine = engines["random"]
    long = " ".join(f"number {n}" for n in range(900))

    full, endless, other = (
        tokens_of(decode(engine, said[:1], {"prompt": prompt, "hotwords": hotwords}))
        for prompt, hotwords in (
            (long[-2_000:], long[:2_000]),
            (long, long),
            (long, "Hello there"),
        )
    )

    assert full == endless
    assert full != other


def test_a_prompt_that_spells_a_special_token_is_text(engines: Engines, said: list[Any]) -> None:
    found = decode(engines["random"], said, {"prompt": "<|endoftext|> <|startoftranscript|> yes"})

    assert has_text(found)


def test_patience_too_small_for_a_beam_finds_a_text(engines: Engines, said: list[Any]) -> None:
    assert has_text(decode(engines["scripted"], said, {"patience": 0.1, "beam_size": 1}))


def test_a_text_that_fails_a_threshold_is_worth_another_try(
    engines: Engines, said: list[Any]
) -> None:
    engine = engines["random"]
    sure, unsure = (decode(engine, said, {"logprob_threshold": p}) for p in (-99.0, -0.1))

    assert not fails(sure)
    assert fails(unsure)


def test_silence_is_not_worth_another_try(engines: Engines, said: list[Any]) -> None:
    asked = {"no_speech_threshold": 0.0, "logprob_threshold": -0.1}
    found = decode(engines["random"], said, asked)

    assert not has_text(found)
    assert not fails(found)


def test_a_loop_is_written_once(
    request: pytest.FixtureRequest, tmp_path: Path, said: list[Any]
) -> None:
    for name, text, once in (
        ("en", " Thank you for watching." * 20, " Thank you for watching."),
        ("zh", "请不吝点赞订阅。" * 12, "请不吝点赞订阅。"),
    ):
        write_scripted(tmp_path / f"{name}.pt", [text], name, segment_s=2.0)
        paths = for_engines(tmp_path / f"{name}.pt", tmp_path / name)
        for engine in ENGINES:
            loaded = open_engine(
                engine, paths[engine], device="cpu", compute_type="float32", threads=1
            )
            [found] = decode(
                loaded, said[:1], {"language": name, "compression_ratio_threshold": 2.4}
            )
            assert [s.text for s in found.segments] == [once]
            assert found.fails_thresholds
