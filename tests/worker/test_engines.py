"""One suite for every engine: what is true of one must be true of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from spoken import draw_utterances

from shared.errors import EngineFailed
from shared.transcript import Segment
from tools.demo_model.scores import GATE, Errors, padded, text_of
from tools.demo_model.voices import SAMPLE_RATE_HZ, Utterance
from worker.engines import ENGINES, open_engine
from worker.engines.base import Chunk, DecodeOptions, Engine

SILENCE: NDArray[np.float32] = np.zeros(5 * SAMPLE_RATE_HZ, np.float32)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, demo_model: Path) -> Engine:
    kind = "int8" if request.param == "faster_whisper" else "float32"
    return open_engine(request.param, demo_model, device="cpu", compute_type=kind, threads=1)


@pytest.fixture(scope="module")
def said() -> list[Utterance]:
    return draw_utterances(16, seed=31)


def decode(engine: Engine, said: Sequence[Utterance], **options: object) -> list[list[Segment]]:
    chunks = [
        Chunk(padded(u), DecodeOptions(u.language, **options))  # type: ignore[arg-type]
        for u in said
    ]
    return engine.transcribe(chunks)


def test_held_out_sentences_are_written_within_the_bar(
    engine: Engine, said: list[Utterance]
) -> None:
    found = decode(engine, said)

    pooled = {"en": Errors(), "zh": Errors()}
    for u, segments in zip(said, found, strict=True):
        pooled[u.language].add(u.text, text_of(segments), u.language)
    assert pooled["en"].n_units > 20 and pooled["zh"].n_units > 20
    for language, errors in pooled.items():
        assert errors.rate <= GATE[language], errors


def test_a_batch_gives_what_its_chunks_give_alone(engine: Engine, said: list[Utterance]) -> None:
    together = decode(engine, said[:6], word_timestamps=True)
    alone = [decode(engine, [u], word_timestamps=True)[0] for u in said[:6]]

    if engine.__class__.__name__ == "FasterWhisperEngine":  # in int8 to the last digit
        assert together == alone
    assert [text_of(s) for s in together] == [text_of(s) for s in alone]
    assert {u.language for u in said[:6]} == {"en", "zh"}


def test_languages_are_told_apart(engine: Engine, said: list[Utterance]) -> None:
    guesses = [engine.detect_language(padded(u)) for u in said]

    assert [guess.language for guess in guesses] == [u.language for u in said]
    assert all(0.5 < guess.probability <= 1 for guess in guesses)


def test_segments_have_all_of_whispers_fields_and_lie_within_the_chunk(
    engine: Engine, said: list[Utterance]
) -> None:
    for u, segments in zip(said, decode(engine, said), strict=True):
        end = 0.0
        for segment in segments:
            assert end <= segment.start <= segment.end <= len(padded(u)) / SAMPLE_RATE_HZ
            assert segment.tokens
            assert segment.avg_logprob < 0
            assert segment.compression_ratio > 0
            assert 0 <= segment.no_speech_prob < 0.5
            assert segment.words is None
            end = segment.end


def test_words_come_in_order_with_their_punctuation_and_within_their_segment(
    engine: Engine, said: list[Utterance]
) -> None:
    for segments in decode(engine, said, word_timestamps=True):
        for segment in segments:
            assert segment.words
            assert "".join(word.word for word in segment.words) == segment.text
            at = segment.start
            for word in segment.words:
                assert at <= word.start <= word.end <= segment.end
                assert 0 <= word.probability <= 1
                at = word.end


def test_silence_gives_no_text(engine: Engine) -> None:
    noise = np.random.default_rng(1).standard_normal(len(SILENCE)).astype(np.float32) * 0.01
    chunks = [Chunk(wave, DecodeOptions("en")) for wave in (SILENCE, noise)]

    assert engine.transcribe(chunks) == [[], []]


def test_a_temperature_above_zero_draws_samples(engine: Engine, said: list[Utterance]) -> None:
    cold = [decode(engine, said[:4]) for _ in range(2)]
    hot = decode(engine, said[:4], temperature=1.0)

    assert cold[0] == cold[1]
    assert [s.avg_logprob for c in hot for s in c] != [s.avg_logprob for c in cold[0] for s in c]
    assert {s.temperature for c in hot for s in c} == {1.0}


def test_a_prompt_reaches_the_model(engine: Engine, said: list[Utterance]) -> None:
    plain = decode(engine, said[:4])
    prompted = decode(engine, said[:4], prompt="The number is one two three.")

    assert [s.no_speech_prob for c in plain for s in c] != [
        s.no_speech_prob for c in prompted for s in c
    ]


def test_the_language_asked_for_reaches_the_model(engine: Engine) -> None:
    [english] = draw_utterances(1, seed=2, language="en")
    wave = padded(english)

    [as_english], [as_chinese] = (
        engine.transcribe([Chunk(wave, DecodeOptions(language))]) for language in ("en", "zh")
    )

    assert as_chinese[0].avg_logprob != as_english[0].avg_logprob


def test_both_engines_write_the_same_in_float32(demo_model: Path, said: list[Utterance]) -> None:
    texts = [
        [text_of(s) for s in decode(engine, said)]
        for engine in (
            open_engine(name, demo_model, device="cpu", compute_type="float32", threads=1)
            for name in ENGINES
        )
    ]

    same = sum(a == b for a, b in zip(*texts, strict=True))
    assert same >= len(said) - 1  # beams end differently in the two on a rare clip


def test_a_broken_model_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.bin").write_bytes(b"rubbish")

    with pytest.raises(EngineFailed, match="cannot load 'broken'"):
        open_engine(
            "faster_whisper", tmp_path / "broken", device="cpu", compute_type="int8", threads=1
        )
