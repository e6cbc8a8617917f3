"""Recordings that went wrong: what is said in them, when, and no more than that."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from real_speech import as_checkpoint, n_errors, samples_of, silence, write_wav
from spoken import transcribe_here

from shared.request import TranscriptionRequest
from shared.transcript import Transcript, Word
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.engines import ENGINES
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings

pytestmark = pytest.mark.speech

Hear = Callable[..., Transcript]

JOY = "What joy there is in living."


def words_of(heard: Transcript) -> list[Word]:
    return [word for segment in heard.segments for word in segment.words or ()]


def test_the_first_word_after_a_pause_begins_when_it_is_said(hear: Hear, recordings: Path) -> None:
    heard = hear(recordings / "c18_pauses.mp3", word_timestamps=True, align=False)

    words = words_of(heard)
    assert {word.word.strip(): word.start for word in words if word.word[1].isupper()} == {
        "The": pytest.approx(0.0, abs=0.15),
        "Drop": pytest.approx(3.9, abs=0.15),
        "We": pytest.approx(8.38, abs=0.15),
        "He": pytest.approx(12.83, abs=0.15),
        "What": pytest.approx(19.24, abs=0.15),
        "Sunday": pytest.approx(25.57, abs=0.2),
    }
    assert heard.text.endswith("Sunday is the best part of the week.")
    assert words[-1].end == pytest.approx(27.8, abs=0.4)


def test_a_segment_ends_with_its_sentence_and_not_with_the_pause_after(
    hear: Hear, recordings: Path
) -> None:
    heard = hear(recordings / "c18_pauses.mp3")

    found = [(segment.start, segment.end) for segment in heard.segments]
    said = [(0.0, 2.8), (3.9, 6.9), (8.4, 10.1), (12.8, 15.5), (19.25, 20.9), (25.4, 27.8)]
    assert len(found) == len(said)
    for times, truth in zip(found, said, strict=True):
        assert times == pytest.approx(truth, abs=0.25)


@pytest.mark.parametrize("noise_db", [-12, -25])
def test_noise_in_a_pause_makes_no_word_begin_in_it(
    hear: Hear, speech_dir: Path, tmp_path: Path, noise_db: float
) -> None:
    drawn = np.random.default_rng(1)
    truth = json.loads((speech_dir / "words_austen.json").read_text())
    clips = [speech_dir / "clips" / name for name in truth]
    clips = [clip for clip in clips if clip.is_file()]
    pieces, starts, at_s = [], [], 0.0
    for clip in drawn.permutation(np.array(clips)):
        said = samples_of(clip, tmp_path).astype(np.float64)
        pause = np.zeros(int(drawn.uniform(0.4, 4.5) * SAMPLE_RATE_HZ))
        pieces += [pause, said / np.abs(said).max() * 12_000]
        begins = at_s + len(pause) / SAMPLE_RATE_HZ + truth[clip.name][0]["start"]
        starts.append((at_s, begins))
        at_s += (len(pause) + len(said)) / SAMPLE_RATE_HZ
    joined = np.concatenate([*pieces, np.zeros(SAMPLE_RATE_HZ)])
    noise = drawn.standard_normal(len(joined)) * 1_800 * 10 ** (noise_db / 20)
    noisy = np.clip(joined + noise, -32768, 32767).astype(np.int16)

    heard = hear(write_wav(tmp_path / "a.wav", [noisy]), word_timestamps=True, align=False)

    found = np.array([word.start for word in words_of(heard)])
    for pause_start, first_word in starts:
        assert np.abs(found - first_word).min() < 0.4
        early = (found > pause_start + 0.1) & (found < first_word - 0.4)
        assert not early.any(), "a word begins in the pause before it"


def test_what_is_said_five_times_is_written_five_times(hear: Hear, recordings: Path) -> None:
    heard = hear(recordings / "c25_repeat.flac")

    assert n_errors(" ".join([JOY] * 5), heard.text) == 0
    assert heard.warnings == ()


def test_what_is_said_six_times_after_another_sentence_is_all_written(
    hear: Hear, speech_dir: Path, tmp_path: Path
) -> None:
    clips = [speech_dir / "clips" / f"sb_spk1_snt{n}.wav" for n in (4, 1)]
    other, said = (samples_of(clip, tmp_path) for clip in clips)
    pieces = [piece for sound in [other, *[said] * 6] for piece in (sound, silence(0.4))]

    heard = hear(write_wav(tmp_path / "six.wav", pieces))

    assert len(re.findall(r"small dog", heard.text)) == 6


def test_sentences_at_the_end_of_a_chunk_are_written(hear: Hear, recordings: Path) -> None:
    one, two = hear(recordings / "c12_tail.mp3"), hear(recordings / "c12_tails.mp3")

    ends = (
        "permission notice shall be included in all copies or substantial portions of the software"
    )
    assert n_errors(ends, " ".join(one.text.split()[-14:])) <= 1
    assert one.segments[-1].end > 28.5
    assert "And so my fellow Americans, ask not" in two.text.replace("so, my", "so my")
    assert re.search(r"thin sheet from the yellow pad\.?$", two.text)
    assert two.segments[-1].start == pytest.approx(55.9, abs=0.3)


def test_the_word_that_a_chunk_broke_off_with_is_written_once(hear: Hear, recordings: Path) -> None:
    heard = hear(recordings / "c07_fr_intro.mp3")

    assert re.search(r"ask what you can do for your country\.$", heard.text)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_word_with_an_apostrophe_is_one_word(
    real_models: Path, recordings: Path, tmp_path: Path, engine: str
) -> None:
    models_dir = real_models
    if engine == "openai_whisper":
        models_dir = tmp_path / "models"
        as_checkpoint(real_models, "base", models_dir)
    settings = WorkerSettings(
        engine=engine, models_dir=models_dir, default_model="base", downloads=False, device="cpu"
    )
    french = samples_of(recordings / "c07_fr_intro.mp3", tmp_path, 2.5)
    asked = TranscriptionRequest(word_timestamps=True, align=False, language="fr")

    heard = transcribe_here(
        LocalModels(settings), write_wav(tmp_path / "fr.wav", [french]), asked, model="base"
    )

    words = [word.word.strip() for word in words_of(heard)]
    assert words == heard.text.split()
    assert "c'est" in [word.lower() for word in words]
