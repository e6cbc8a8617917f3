"""Words and speakers may fail: the transcript comes all the same, and says how to mend it."""

from __future__ import annotations

import base64
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from process_tree import children_of
from sites import Site
from spoken import (
    Clip,
    draw_long_clip,
    draw_utterances,
    transcribe_here,
    write_wav,
)
from waiting import wait_until

from models.training.demo_diarization.dialogs import UNSEEN, draw_dialog
from models.training.demo_model.voices import SAMPLE_RATE_HZ
from shared.errors import JobCancelled
from shared.phrase_book import WARNING_CODE
from shared.request import TranscriptionRequest
from shared.transcript import Segment, SpeakerTurn, Transcript, Warned
from worker.alignment import AlignmentOptions
from worker.annotation import _ALIGNED_AT_ONCE
from worker.audio.source import AudioSource
from worker.diarization import Diarization, DiarizationOptions
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings


class FailingModels(LocalModels):
    """Models of which those that annotate raise what they are told to."""

    def __init__(self, error: Exception) -> None:
        super().__init__(WorkerSettings(default_model="demo", downloads=False, device="cpu"))
        self._error = error

    def align(self, *args: Any) -> Any:
        raise self._error

    def find_turns(self, *args: Any) -> Any:
        raise self._error


def told(transcript: Transcript) -> list[Warned]:
    """Warnings but the one that is of every text by the phrase-book."""
    return [warning for warning in transcript.warnings if warning.code != WARNING_CODE]


def codes(transcript: Transcript) -> list[str]:
    return [warning.code for warning in told(transcript)]


@pytest.fixture
def english(clips: Callable[[int, int], list[Clip]]) -> Clip:
    return next(clip for clip in clips(12, 501) if clip.language == "en")


@pytest.mark.usefixtures("demo_model")
def test_what_raises_costs_no_transcript(english: Clip) -> None:
    request = TranscriptionRequest(word_timestamps=True, diarize=True)
    models = FailingModels(RuntimeError("CUDA error: device-side assert triggered"))

    found = transcribe_here(models, english.path, request)

    plain = transcribe_here(
        models, english.path, TranscriptionRequest(word_timestamps=True, align=False)
    )
    assert found.text == plain.text and found.text
    assert [s.words for s in found.segments] == [s.words for s in plain.segments]
    assert codes(found) == ["alignment_failed", "diarization_failed"]
    assert all("device-side assert" in w.message for w in told(found))
    assert found.turns is None
    assert told(plain) == []


@pytest.mark.usefixtures("demo_model")
def test_a_job_cancelled_meanwhile_is_not_delivered_with_a_warning(english: Clip) -> None:
    models = FailingModels(JobCancelled("cancelled"))

    with pytest.raises(JobCancelled):
        transcribe_here(models, english.path, TranscriptionRequest(diarize=True, align=False))


@pytest.fixture
def other_model(demo_model: Path, tmp_path: Path) -> dict[str, Any]:
    """Settings of a worker that has one model, which brings no aligner and no diarizer along."""
    shutil.copytree(demo_model, tmp_path / "models" / "tiny")
    return {"models_dir": tmp_path / "models", "default_model": "tiny", "device": "cpu"}


def test_a_missing_aligner_is_named_with_the_way_to_get_it(
    other_model: dict[str, Any], english: Clip
) -> None:
    models = LocalModels(WorkerSettings(**other_model, downloads=False))

    found = transcribe_here(
        models, english.path, TranscriptionRequest(word_timestamps=True), model="tiny"
    )

    [warning] = told(found)
    assert warning.code == "alignment_failed"
    assert warning.message.startswith(
        "words are timed by Whisper: aligner 'WAV2VEC2_ASR_BASE_960H'"
    )
    assert "LONGHAND_DOWNLOADS" in warning.message and "LONGHAND_MODELS_DIR" in warning.message
    assert all(word.end >= word.start for s in found.segments for word in s.words or ())
    assert found.segments[0].words


def test_a_missing_token_is_named_with_the_pages_to_accept(
    other_model: dict[str, Any], english: Clip
) -> None:
    models = LocalModels(WorkerSettings(**other_model, downloads=True))

    request = TranscriptionRequest(
        diarize=True, diarize_model="pyannote/speaker-diarization-community-1", align=False
    )

    found = transcribe_here(models, english.path, request, model="tiny")

    [warning] = told(found)
    assert found.text
    assert warning.code == "diarization_failed"
    assert "https://huggingface.co/pyannote/speaker-diarization-community-1" in warning.message
    assert "LONGHAND_HF_TOKEN" in warning.message


@pytest.mark.usefixtures("demo_model")
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"diarize": True, "diarize_model": "../secret"}, "'../secret' is not known"),
        ({"word_timestamps": True, "align_model": "/etc"}, "'/etc'"),
        ({"language": "yo", "align": True}, "no alignment model is known for 'yo'"),
    ],
)
def test_a_model_that_cannot_be_is_refused_in_a_warning(
    models: LocalModels, english: Clip, fields: dict[str, Any], message: str
) -> None:
    found = transcribe_here(models, english.path, TranscriptionRequest(**fields))

    assert any(message in warning.message for warning in told(found)), told(found)
    assert found.text


@pytest.mark.usefixtures("demo_model")
def test_options_that_change_nothing_are_named(models: LocalModels, english: Clip) -> None:
    request = TranscriptionRequest(
        num_speakers=2, vad=False, vad_onset=0.7, interpolate_method="linear"
    )

    found = transcribe_here(models, english.path, request)

    messages = [warning.message for warning in told(found)]
    assert codes(found) == ["option_ignored"] * 3
    assert messages[0].startswith("num_speakers: only diarize=true tells voices apart")
    assert messages[1].startswith("vad_onset: with vad=false")
    assert messages[2].startswith("interpolate_method: words are aligned only where")


def test_an_engine_says_which_options_it_ignores(english: Clip, demo_model: Path) -> None:
    models = LocalModels(
        WorkerSettings(engine="whisperx", default_model="demo", downloads=False, device="cpu")
    )

    found = transcribe_here(models, english.path, TranscriptionRequest(best_of=2))

    [warning] = told(found)
    assert warning.code == "option_ignored"
    assert warning.message.startswith("best_of: the engine whisperx cannot do this")


@pytest.mark.main_job
def test_a_diarizer_that_is_killed_again_and_again_costs_no_transcript(
    usual_site: Site, models: LocalModels, tmp_path: Path
) -> None:
    site = usual_site
    clip = draw_long_clip(tmp_path, seed=502, length_s=20)
    [worker] = site.workers()
    site.transcript(site.upload(clip.path))
    before = children_of(worker.pid)

    job_id = site.upload(clip.path, diarize="true", align="false")
    killed: set[int] = set()
    while not site.job(job_id).status.is_final:
        for pid in children_of(worker.pid) - before - killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
    found = site.transcript(job_id)

    assert len(killed) == 2
    assert codes(found) == ["diarization_failed"]
    assert "its process died twice (annotation ended with status -9)" in (told(found)[0].message)
    assert found.text == transcribe_here(models, clip.path).text
    wait_until(lambda: site.workers()[0].annotation_pids == (), 30, "the worker tells")
    assert site.job(job_id).attempt == 1
    assert site.workers()[0].n_engine_starts == 1


@pytest.mark.main_job
def test_who_speaks_is_told_by_a_second_child_that_lives_on(
    usual_site: Site, models: LocalModels, tmp_path: Path
) -> None:
    site = usual_site
    clip = draw_long_clip(tmp_path, seed=503, length_s=20)
    fields = {"diarize": "true", "word_timestamps": "true"}

    found = [site.transcript(site.upload(clip.path, **fields)) for _ in range(2)]

    request = TranscriptionRequest(diarize=True, word_timestamps=True, chinese="none")
    assert found == [transcribe_here(models, clip.path, request)] * 2
    assert told(found[0]) == []
    assert {s.speaker for s in found[0].segments} == {"SPEAKER_00"} or len(found[0].turns or ()) > 1
    assert len(wait_until(lambda: site.workers()[0].annotation_pids, 30, "the worker tells")) == 1


class SpyModels(LocalModels):
    """Models that note how those that annotate are called, and find one speaker."""

    def __init__(self) -> None:
        super().__init__(WorkerSettings(default_model="demo", downloads=False, device="cpu"))
        self.aligned: list[tuple[str, AlignmentOptions]] = []
        self.asked: list[tuple[str, DiarizationOptions]] = []

    def align(
        self, aligner: str, audio: AudioSource, segments: Any, options: AlignmentOptions
    ) -> list[Segment]:
        self.aligned.append((aligner, options))
        return list(segments)

    def find_turns(
        self, diarizer: str, audio: AudioSource, options: DiarizationOptions, report: Any
    ) -> Diarization:
        self.asked.append((diarizer, options))
        turn = SpeakerTurn(speaker="SPEAKER_00", start=0, end=audio.duration_s)
        return Diarization((turn,), (turn,), {"SPEAKER_00": (1.0, 2.0)})


@pytest.mark.usefixtures("demo_model")
def test_every_option_of_words_and_speakers_arrives_as_itself(english: Clip) -> None:
    models = SpyModels()
    request = TranscriptionRequest(
        align_model="own-aligner", interpolate_method="linear", return_char_alignments=True,
        diarize=True, num_speakers=2, min_speakers=1, max_speakers=3, clustering_threshold=0.9,
        speaker_embeddings=True, diarize_model="own-diarizer", speaker_names={"SPEAKER_00": "Ann"},
    )  # fmt: skip

    found = transcribe_here(models, english.path, request)

    assert models.aligned == [("own-aligner", AlignmentOptions("en", "linear", True))]
    assert models.asked == [
        ("own-diarizer", DiarizationOptions(2, 1, 3, 0.9, wants_embeddings=True))
    ]
    assert {segment.speaker for segment in found.segments} == {"Ann"}
    assert {word.speaker for s in found.segments for word in s.words or ()} == {"Ann"}
    assert found.turns is not None and [turn.speaker for turn in found.turns] == ["Ann"]
    assert found.speaker_embeddings == {"Ann": (1.0, 2.0)}
    assert told(found) == []


@pytest.mark.usefixtures("demo_model")
@pytest.mark.parametrize(
    ("fields", "n_aligned", "has_words"),
    [
        ({}, 0, False),
        ({"word_timestamps": True}, 1, True),
        ({"word_timestamps": True, "align": False}, 0, True),
        ({"align": True}, 1, True),
        ({"diarize": True}, 1, False),
        ({"word_timestamps": True, "task": "translate"}, 0, True),
    ],
)
def test_words_are_aligned_and_given_when_they_are_asked_for(
    english: Clip, fields: dict[str, Any], n_aligned: int, has_words: bool
) -> None:
    models = SpyModels()
    found = transcribe_here(models, english.path, TranscriptionRequest(**fields))

    assert len(models.aligned) == n_aligned
    assert len(models.asked) == int("diarize" in fields)
    assert all(bool(segment.words) == has_words for segment in found.segments)


@pytest.mark.usefixtures("demo_model")
def test_speech_in_two_languages_is_written_in_both(models: LocalModels, tmp_path: Path) -> None:
    said = [draw_utterances(1, seed, language)[0] for seed, language in ((61, "en"), (62, "zh"))]
    pause = np.zeros(SAMPLE_RATE_HZ, np.int16)
    samples = np.concatenate([part for u in said for part in (pause, u.waveform, pause)])
    path = write_wav(tmp_path / "mixed.wav", samples)
    fields = {"chunk_size": max(len(u.waveform) / SAMPLE_RATE_HZ for u in said) + 1}

    mixed = transcribe_here(models, path, TranscriptionRequest(multilingual=True, **fields))
    plain = transcribe_here(models, path, TranscriptionRequest(**fields))

    assert [segment.language for segment in mixed.segments] == ["en", "zh"]
    assert [segment.text.isascii() for segment in mixed.segments] == [True, False]
    assert mixed.text == " ".join(segment.text.strip() for segment in mixed.segments)
    assert {segment.language for segment in plain.segments} == {None}


def test_a_seed_draws_the_same_voices_whatever_was_said_before() -> None:
    first, *_ = [draw_utterances(2, 7) for _ in range(2)]
    draw_utterances(1, 8)
    again = draw_utterances(2, 7)

    assert [u.text for u in first] == [u.text for u in again]
    assert all(np.array_equal(a.waveform, b.waveform) for a, b in zip(first, again, strict=True))


@pytest.mark.speech
@pytest.mark.usefixtures("demo_model")
def test_segments_stay_in_order_where_alignment_is_cut_into_calls(
    models: LocalModels, tmp_path: Path
) -> None:
    said = draw_utterances(40, 504, "en")
    path = write_wav(tmp_path / "breathless.wav", np.concatenate([u.waveform for u in said]))

    found = transcribe_here(models, path, TranscriptionRequest(word_timestamps=True))

    assert len(found.segments) > 2 * _ALIGNED_AT_ONCE
    ends = [segment.end for segment in found.segments]
    starts = [segment.start for segment in found.segments]
    assert all(start >= end for end, start in zip(ends, starts[1:], strict=False))


@pytest.mark.main_job
def test_a_known_voice_is_called_by_its_name_and_a_useless_one_costs_nothing(
    usual_site: Site, tmp_path: Path
) -> None:
    site = usual_site
    dialog = draw_dialog(505, UNSEEN[1:3], length_s=20)
    path = write_wav(tmp_path / "dialog.wav", dialog.waveform)
    spoken = [t for t in dialog.turns if t.speaker == UNSEEN[1].name]
    cut = [slice(int(t.start * SAMPLE_RATE_HZ), int(t.end * SAMPLE_RATE_HZ)) for t in spoken]
    voice = write_wav(tmp_path / "ann.wav", np.concatenate([dialog.waveform[c] for c in cut]))
    silence = write_wav(tmp_path / "nobody.wav", np.zeros(3 * SAMPLE_RATE_HZ, np.int16))
    urls = [
        "data:audio/wav;base64," + base64.b64encode(p.read_bytes()).decode()
        for p in (voice, silence)
    ]

    job_id = site.upload(
        path, diarize="true", align="false",
        **{"known_speaker_names[]": ["Ann", "Bo"], "known_speaker_references[]": urls},
    )  # fmt: skip
    found = site.transcript(job_id)

    assert found.turns is not None
    ann = sum(turn.end - turn.start for turn in found.turns if turn.speaker == "Ann")
    assert ann == pytest.approx(sum(t.end - t.start for t in spoken), rel=0.25)
    assert "Bo" not in {turn.speaker for turn in found.turns}
    assert codes(found) == ["known_speaker_unusable"]
    assert "Bo" in told(found)[0].message


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.main_job
def test_a_cancelled_job_leaves_the_diarizer_loaded_and_idle(
    usual_site: Site, tmp_path: Path
) -> None:
    site = usual_site
    dialog = draw_dialog(507, UNSEEN[1:3], length_s=20)
    short = write_wav(tmp_path / "short.wav", dialog.waveform)
    long = write_wav(tmp_path / "long.wav", np.tile(dialog.waveform, 12))
    # Next to nothing is transcribed; who speaks is looked for in all of it.
    fields = {"diarize": "true", "align": "false", "clip_timestamps": "0,4"}
    site.transcript(site.upload(short, **fields))
    [pid] = wait_until(lambda: site.workers()[0].annotation_pids, 30, "the worker tells")

    job_id = site.upload(long, **fields)
    wait_until(lambda: site.job(job_id).stage == "diarize", 120, "it is asked who speaks")
    begun, spent = site.job(job_id).progress, cpu_s(pid)
    wait_until(lambda: site.job(job_id).progress > begun + 0.05, 120, "some of it is known")
    answer = site.http.post(f"/jobs/{job_id}/cancel")
    reached, used = site.job(job_id).progress, cpu_s(pid) - spent
    wait_until(lambda: not site.workers()[0].n_running, 120, "the worker is free again")
    more = cpu_s(pid) - spent - used

    done = (reached - begun) / (1 - begun)
    assert answer.json()["status"] == site.job(job_id).status == "cancelled"
    assert 0 < done < 0.5  # it had the larger part before it, and as much of the processor
    assert more < used * (1 - done) / done / 2
    again = site.transcript(site.upload(short, **fields))
    assert again.turns and codes(again) == []
    assert site.workers()[0].annotation_pids == (pid,)
