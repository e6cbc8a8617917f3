"""One suite for every engine: what is true of one must be true of all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import invented_engine
import numpy as np
import pytest
from numpy.typing import NDArray
from real_speech import CONVERSATION, as_checkpoint, samples_of, turns_of
from spoken import draw_utterances

from models.training.demo_model.scores import GATE, Errors, padded, text_of
from models.training.demo_model.voices import SAMPLE_RATE_HZ, Utterance
from shared.errors import EngineFailed
from shared.transcript import Segment
from worker.engines import ENGINES, check_installed, open_engine
from worker.engines.base import Chunk, DecodeOptions, Engine
from worker.models.listing import list_models
from worker.models.store import ModelStore
from worker.models.whisper_models import WhisperModels
from worker.processes.cache import ModelCache
from worker.settings import WorkerSettings

pytestmark = pytest.mark.speech

KINDS = {"faster_whisper": "int8", "openai_whisper": "float32", "whisperx": "int8"}
SILENCE: NDArray[np.float32] = np.zeros(5 * SAMPLE_RATE_HZ, np.float32)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, demo_model: Path) -> Engine:
    return open_engine(
        request.param, demo_model, device="cpu", compute_type=KINDS[request.param], threads=1
    )


@pytest.fixture(scope="module")
def said() -> list[Utterance]:
    return draw_utterances(16, seed=31)


Segments = Sequence[Segment]


def decode(engine: Engine, said: Sequence[Utterance], **options: object) -> list[Segments]:
    chunks = [
        Chunk(padded(u), DecodeOptions(**{"language": u.language, **options}))  # type: ignore[arg-type]
        for u in said
    ]
    return [decoding.segments for decoding in engine.transcribe(chunks)]


@pytest.fixture(scope="module")
def written(engine: Engine, said: list[Utterance]) -> list[Segments]:
    """What the engine makes of all sentences, in one batch and without further options."""
    return decode(engine, said)


def test_held_out_sentences_are_written_within_the_bar(
    written: list[Segments], said: list[Utterance]
) -> None:
    pooled = {"en": Errors(), "zh": Errors()}
    for u, segments in zip(said, written, strict=True):
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
    written: list[Segments], said: list[Utterance]
) -> None:
    for u, segments in zip(said, written, strict=True):
        end = 0.0
        for segment in segments:
            assert end <= segment.start <= segment.end <= len(padded(u)) / SAMPLE_RATE_HZ
            assert segment.tokens
            assert segment.avg_logprob < 0
            assert segment.compression_ratio > 0
            assert 0 <= segment.no_speech_prob < 0.5
            assert segment.words is None
            end = segment.end


def test_words_come_in_order_with_their_punctuation_and_within_the_chunk(
    engine: Engine, said: list[Utterance]
) -> None:
    for u, segments in zip(said, decode(engine, said[:8], word_timestamps=True), strict=False):
        for segment in segments:
            assert segment.words
            assert "".join(word.word for word in segment.words) == segment.text
            at = 0.0
            for word in segment.words:
                assert at <= word.start <= word.end <= len(padded(u)) / SAMPLE_RATE_HZ
                assert 0 <= word.probability <= 1
                at = word.end


def test_silence_gives_no_text(engine: Engine) -> None:
    noise = np.random.default_rng(1).standard_normal(len(SILENCE)).astype(np.float32) * 0.01
    chunks = [Chunk(wave, DecodeOptions("en")) for wave in (SILENCE, noise)]

    assert [decoding.segments for decoding in engine.transcribe(chunks)] == [(), ()]


def test_a_language_not_told_is_heard_in_each_chunk(
    engine: Engine, said: list[Utterance], written: list[Segments]
) -> None:
    chunks = [
        Chunk(padded(u), DecodeOptions(None if n % 2 else u.language)) for n, u in enumerate(said)
    ]

    found = engine.transcribe(chunks)

    assert [d.language for d in found] == [u.language for u in said]
    for n, (u, decoding) in enumerate(zip(said, found, strict=True)):
        assert {s.language for s in decoding.segments} == {u.language if n % 2 else None}
    assert [text_of(d.segments) for d in found] == [text_of(segments) for segments in written]


def test_rows_may_have_prompts_of_their_own(engine: Engine, said: list[Utterance]) -> None:
    prompts = ["The number is one two three.", None, "Carol will call.", None, None, "Yes."]
    asked = [(u, DecodeOptions(u.language, prompt=p)) for u, p in zip(said, prompts, strict=False)]

    together = engine.transcribe([Chunk(padded(u), o) for u, o in asked])
    alone = [engine.transcribe([Chunk(padded(u), o)])[0] for u, o in asked]

    assert [text_of(d.segments) for d in together] == [text_of(d.segments) for d in alone]
    sure, alike = (
        [decoding.segments[0].avg_logprob for decoding in found] for found in (together, alone)
    )
    assert sure == pytest.approx(alike, abs=0.01)
    plain = [segments[0].avg_logprob for segments in decode(engine, said[:6])]
    told = [abs(a - b) > 0.001 for a, b in zip(sure, plain, strict=True)]
    assert told == [prompt is not None for prompt in prompts]


def test_a_text_that_fails_no_threshold_is_not_doubtful(
    engine: Engine, said: list[Utterance]
) -> None:
    found = engine.transcribe([Chunk(padded(u), DecodeOptions(u.language)) for u in said[:4]])

    assert [decoding.fails_thresholds for decoding in found] == [False] * 4


def test_a_broken_off_sound_of_any_length_is_decoded(engine: Engine, said: list[Utterance]) -> None:
    wave = padded(said[0])
    chunks = [
        Chunk(wave[:n], DecodeOptions(said[0].language, word_timestamps=True))
        for n in (1, 400, 1_600, len(wave) - 7, len(wave))
    ]

    for chunk, decoding in zip(chunks, engine.transcribe(chunks), strict=True):
        for segment in decoding.segments:
            assert 0 <= segment.start <= segment.end <= chunk.duration_s + 0.001


def test_all_engines_write_the_same_in_float32(demo_model: Path) -> None:
    said = draw_utterances(20, seed=37)
    texts = [
        [
            text_of(segments)
            for segments in decode(
                open_engine(name, demo_model, device="cpu", compute_type="float32", threads=1),
                said,
            )
        ]
        for name in ENGINES
    ]

    same = [len(set(written)) == 1 for written in zip(*texts, strict=True)]
    assert sum(same) >= 0.95 * len(said)


def test_all_engines_write_the_same_with_real_weights(real_models: Path, tmp_path: Path) -> None:
    [turn, *_] = turns_of("conversation")
    waveform = samples_of(CONVERSATION, tmp_path, 4.5).astype(np.float32) / 32_768
    chunk = Chunk(waveform, DecodeOptions("en", word_timestamps=True))
    paths = dict.fromkeys(ENGINES, real_models / "tiny.en")
    paths["openai_whisper"] = as_checkpoint(real_models, "tiny.en", tmp_path / "models")

    found = [
        open_engine(name, path, device="cpu", compute_type="float32", threads=1).transcribe([chunk])
        for name, path in paths.items()
    ]

    said = [text_of(decoding.segments) for [decoding] in found]
    assert set(said) == {" " + turn.text}
    starts = [[w.start for s in d.segments for w in s.words or ()] for [d] in found]
    for other in starts[1:]:
        assert other == pytest.approx(starts[0], abs=0.1)


def test_a_language_the_model_does_not_know_is_refused_by_name(engine: Engine) -> None:
    with pytest.raises(EngineFailed, match="does not know the language 'yue'"):
        engine.transcribe([Chunk(SILENCE, DecodeOptions("yue"))])


def test_a_broken_model_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.bin").write_bytes(b"rubbish")

    for engine in ("faster_whisper", "whisperx"):
        with pytest.raises(EngineFailed, match="cannot load 'broken'"):
            open_engine(engine, tmp_path / "broken", device="cpu", compute_type="int8", threads=1)


def test_nothing_else_is_said_on_the_way(engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
    engine.transcribe([Chunk(SILENCE, DecodeOptions(None))])

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "extra"),
    [("faster_whisper", "worker"), ("openai_whisper", "whisper"), ("whisperx", "diarization")],
)
def test_an_engine_that_is_not_installed_is_refused_with_its_extra(name: str, extra: str) -> None:
    check_installed(name)
    with pytest.raises(EngineFailed, match=f"LONGHAND_ENGINE is '{name}'.*the extra `{extra}`"):
        check_installed(name, find=lambda library: None)


def test_one_entry_is_all_that_a_new_engine_needs(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "tiny.pt").write_bytes(b"weights")
    settings = WorkerSettings(models_dir=tmp_path, device="cpu", downloads=False)

    with invented_engine.listed() as name:
        check_installed(name)
        models = ModelCache(settings.model_copy(update={"engine": name}))
        used = models.load("tiny")
        [listed] = [m for m in list_models(WhisperModels(ModelStore(tmp_path))) if m.name == "tiny"]
        engine = open_engine(name, tmp_path, device="cpu", compute_type="float32", threads=1)
        [decoding] = engine.transcribe([Chunk(SILENCE, DecodeOptions("en"))])

    assert (used.engine, used.ignores) == (name, {"beam_size"})
    assert models.compute_type == "float32"
    assert listed.engines == ("openai_whisper", name)
    assert decoding.heard_s == 5.0
