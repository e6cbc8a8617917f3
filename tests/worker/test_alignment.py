"""Words put on the time line by the demo aligner, in speech whose synthesiser told its times."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from aligned import MakeAudio, assert_in_order, seconds, segment, with_pauses, word

from models.training.demo_aligner.measure import (
    LEAD_S,
    MEDIAN_BAR_S,
    P90_BAR_S,
    align_all,
    boundary_errors,
    median_and_p90,
)
from models.training.demo_model.phrasebook import DIGITS
from models.training.demo_model.voices import Utterance
from shared.catalogue import MODELS
from shared.errors import InvalidRequest
from worker.alignment import Aligner, AlignmentOptions, aligner_name
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource
from worker.models.alignment_catalogue import ALIGNERS

ENGLISH = AlignmentOptions("en")


def test_words_begin_where_the_synthesiser_began_them(
    aligner: Aligner, said: list[Utterance]
) -> None:
    errors = boundary_errors(said, align_all(aligner, said), lead_s=LEAD_S)

    assert len(said) >= 60
    assert len(errors) >= sum(len(u.words) for u in said) * 0.99
    median, p90 = median_and_p90(errors)
    assert median <= MEDIAN_BAR_S
    assert p90 <= P90_BAR_S
    # What the measured offset of the demo aligner is for: no word is early or late as a rule.
    assert abs(float(np.median(errors))) <= 0.015


def test_whispers_words_keep_text_and_probability_and_get_better_times(
    aligner: Aligner, said: list[Utterance], audio_of: MakeAudio
) -> None:
    utterance = said[0]
    length = seconds(utterance) / len(utterance.text.split())
    texts = [f" {text}" for text in utterance.text.split()]
    evenly = [word(t, 0.5 + i * length, 0.5 + (i + 1) * length) for i, t in enumerate(texts)]
    given = segment(f" {utterance.text}", 0.5, 0.5 + seconds(utterance), evenly)

    [found] = aligner.align(audio_of(with_pauses(utterance)), [given], ENGLISH)

    assert [w.word for w in found.words or ()] == texts
    assert {w.probability for w in found.words or ()} == {0.5}
    before, _ = median_and_p90(boundary_errors([utterance], [[given]], lead_s=0.5))
    after, _ = median_and_p90(boundary_errors([utterance], [[found]], lead_s=0.5))
    assert after < min(before, MEDIAN_BAR_S)


def test_a_segment_without_words_is_split_into_words_as_probable_as_it_is(
    aligner: Aligner, said: list[Utterance], audio_of: MakeAudio
) -> None:
    given = segment(f" {said[0].text}", 0.4, 0.6 + seconds(said[0]))

    [found] = aligner.align(audio_of(with_pauses(said[0])), [given], ENGLISH)

    words = found.words or ()
    assert "".join(w.word for w in words) == given.text
    assert len(words) == len(said[0].text.split())
    assert {w.probability for w in words} == {math.exp(-0.1)}
    assert (found.start, found.end) == (words[0].start, words[-1].end)
    assert found.chars is None


def test_a_full_stop_stretches_no_word_into_the_pause_after_it(
    aligner: Aligner, said: list[Utterance], audio_of: MakeAudio
) -> None:
    first, second = said[1], said[2]
    text = f" {first.text} {second.text}"
    end = 1.0 + seconds(first) + seconds(second)

    [found] = aligner.align(
        audio_of(with_pauses(first, second)), [segment(text, 0.5, end)], ENGLISH
    )

    words = found.words or ()
    n = len(first.text.split())
    assert words[n - 1].word.endswith((".", "?"))
    assert abs(words[n - 1].end - (0.5 + seconds(first))) <= 0.15
    assert abs(words[n].start - (1.0 + seconds(first))) <= 0.1
    assert abs(words[-1].end - end) <= 0.15


def test_every_character_has_its_time_when_characters_are_wanted(
    aligner: Aligner, said: list[Utterance], audio_of: MakeAudio
) -> None:
    given = segment(f" {said[0].text}", 0.4, 0.6 + seconds(said[0]))
    options = AlignmentOptions("en", wants_characters=True)

    [found] = aligner.align(audio_of(with_pauses(said[0])), [given], options)

    characters = found.chars or ()
    assert "".join(c.char for c in characters) == said[0].text.replace(" ", "")
    assert_in_order(characters, found.start, found.end)
    letters = [c for c in characters if c.char.isalpha()]
    assert all(c.end > c.start and 0 < c.score <= 1 for c in letters)
    assert float(np.mean([c.score for c in letters])) > 0.8
    assert [c.score for c in characters if not c.char.isalpha()] == [0.0]


def test_digits_are_put_between_the_words_around_them_by_the_method_chosen(
    aligner: Aligner, said: list[Utterance], audio_of: MakeAudio
) -> None:
    utterance = next(u for u in said if u.text.startswith("The number is"))
    audio, end = audio_of(with_pauses(utterance)), 0.5 + seconds(utterance)
    digits = [DIGITS.index(text) for text in utterance.text.rstrip(".").split()[3:]]
    texts = [" The", " number", " is", *(f" {digit}" for digit in digits[:-1])]
    last = f" {utterance.text.split()[-1]}"
    given = [word(t, 0.6 + 0.1 * i, 0.65 + 0.1 * i) for i, t in enumerate([*texts, last])]

    found = {}
    for method in ("nearest", "linear", "ignore"):
        options = AlignmentOptions("en", interpolate=method)
        [aligned] = aligner.align(audio, [segment("", 0.5, end, given)], options)
        found[method] = aligned.words or ()

    spelled = aligner.align(audio, [segment(f" {utterance.text}", 0.5, end)], ENGLISH)[0].words
    for words in found.values():
        # The unspelled digits lead the letters around them nowhere else.
        assert spelled is not None
        assert words[:3] == tuple(
            w.model_copy(update={"probability": 0.5, "end": words[i].end})
            for i, w in enumerate(spelled[:3])
        )
        assert abs(words[-1].start - spelled[-1].start) <= 0.1
    low, high = found["linear"][2].end, found["linear"][-1].start
    n = len(digits) - 1
    evenly = [low + (high - low) * i / n for i in range(n + 1)]
    starts, ends = ([getattr(w, k) for w in found["linear"][3:-1]] for k in ("start", "end"))
    assert starts == pytest.approx(evenly[:-1], abs=0.002)
    assert ends == pytest.approx(evenly[1:], abs=0.002)
    assert {t for w in found["nearest"][3:-1] for t in (w.start, w.end)} <= {
        low, round((low + high) / 2, 3), high,
    }  # fmt: skip
    for w, whispers in zip(found["ignore"][3:-1], given[3:-1], strict=True):
        assert w.start == pytest.approx(min(max(whispers.start, low), high), abs=0.002)


def test_a_segment_is_not_heard_in_the_speech_of_its_neighbour(
    aligner: Aligner, said: list[Utterance], audio_of: MakeAudio
) -> None:
    utterances, given, start = said[3:7], [], 0.5
    for utterance in utterances:
        given.append(segment(f" {utterance.text}", start - 0.2, start + seconds(utterance) + 0.2))
        start += seconds(utterance) + 0.5

    found = aligner.align(audio_of(with_pauses(*utterances)), given, ENGLISH)

    for before, after in zip(given, found, strict=True):
        assert abs(after.start - (before.start + 0.2)) <= 0.1
        assert abs(after.end - (before.end - 0.2)) <= 0.15


def test_a_long_recording_is_read_by_span(
    aligner: Aligner, said: list[Utterance], tmp_path: Path
) -> None:
    n_samples, at = 3 * 3600 * SAMPLE_RATE_HZ, 2 * 3600
    path = tmp_path / "long.pcm"
    with path.open("wb") as file:  # three hours that take no room on the disk
        file.truncate(n_samples * 2)
        file.seek(at * SAMPLE_RATE_HZ * 2)
        file.write(said[0].waveform.tobytes())
    given = segment(f" {said[0].text}", at, at + seconds(said[0]))

    tracemalloc.start()
    [found] = aligner.align(AudioSource(path, n_samples), [given], ENGLISH)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert abs(found.start - at) <= 0.1
    assert peak_bytes < 5_000_000


class StoppedHere(Exception):
    """What a job's report raises when the job was cancelled."""


def test_progress_rises_to_one_and_what_a_report_raises_ends_the_work(
    aligner: Aligner, said: list[Utterance], audio_of: MakeAudio
) -> None:
    audio = audio_of(with_pauses(said[0]))
    given = [segment(" we need", 0.5, 1.0), segment(" 12", 1.0, 1.2), segment(" more", 1.2, 2.0)]
    fractions: list[float] = []
    aligner.align(audio, given, ENGLISH, fractions.append)

    def stop(fraction: float) -> None:
        raise StoppedHere

    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    with pytest.raises(StoppedHere):
        aligner.align(audio, given, ENGLISH, stop)


def test_an_aligner_is_chosen_by_model_language_and_caller() -> None:
    demo, small = MODELS["demo"], MODELS["small"]

    assert aligner_name("en", demo, None) == "demo-aligner-en"
    assert aligner_name("zh", demo, None) is None
    assert aligner_name("de", small, None) == "VOXPOPULI_ASR_BASE_10K_DE"
    assert aligner_name("sw", small, None) is None
    assert aligner_name("en", demo, ALIGNERS["sv"]) == "KBLab/wav2vec2-large-voxrex-swedish"
    assert aligner_name("en", small, "house-aligner") == "house-aligner"


@pytest.mark.parametrize(
    "name", ["../demo", "/etc", "a/b", "..", ".", ".hidden", "a\\b", "demo/../demo", "x\n", "C:x"]
)
def test_a_path_is_no_name_of_an_aligner(name: str) -> None:
    with pytest.raises(InvalidRequest, match="align_model") as caught:
        aligner_name("en", MODELS["demo"], name)

    assert caught.value.param == "align_model"
