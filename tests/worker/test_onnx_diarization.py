"""`diarization` on real voices, where importing torch and pyannote.audio fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.evaluation.speakers.dialogues import Dialogue, all_dialogues
from bench.evaluation.speakers.programs import NO_TORCH
from bench.evaluation.speakers.scoring import compare
from bench.evaluation.speech import SPEECH, read_clips
from shared.errors import EngineFailed, JobCancelled
from shared.settings import CHECKOUT
from worker.audio.source import AudioSource, decode
from worker.diarization import Diarization, DiarizationOptions, KnownSpeaker
from worker.diarization.onnx_diarizer import OnnxDiarizer, open_onnx_diarizer

pytestmark = [
    pytest.mark.speech,
    pytest.mark.skipif(
        not SPEECH.is_dir(),
        reason=f"no recordings in {SPEECH}: they are not part of this repository",
    ),
]


@pytest.fixture(scope="module")
def diarizer(real_diarizer: Path) -> OnnxDiarizer:
    return open_onnx_diarizer(real_diarizer, threads=1)


@pytest.fixture(scope="module")
def dialogues(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dialogue]:
    """Real and made ones by name."""
    found = all_dialogues(SPEECH, tmp_path_factory.mktemp("dialogues"))
    return {dialogue.name: dialogue for dialogue in found}


@pytest.fixture
def find(diarizer: OnnxDiarizer, tmp_path: Path):
    """A function that says who speaks in a file."""

    def run(path: Path, report=lambda fraction: None, **options) -> Diarization:
        audio = decode(path, tmp_path / f"{path.stem}.pcm")
        return diarizer.find_turns(audio, DiarizationOptions(**options), report)

    return run


def cut(path: Path, tmp_path: Path, start_s: float, end_s: float) -> AudioSource:
    audio = decode(path, tmp_path / "whole.pcm")
    samples = audio.read(round(start_s * 16_000), round(end_s * 16_000))
    part = tmp_path / f"{path.stem}-{start_s}.pcm"
    part.write_bytes((samples * 32768).astype("<i2").tobytes())
    return AudioSource(part, len(samples))


def speakers(found: Diarization) -> set[str]:
    return {turn.speaker for turn in found.turns}


def error_rate(dialogue: Dialogue, found: Diarization) -> float:
    turns = [(turn.speaker, turn.start, turn.end) for turn in found.turns]
    return compare(dialogue.turns, turns).rate


@pytest.mark.parametrize(
    ("name", "most"),
    [("sample", 0.066), ("D1", 0.13), ("D2", 0.16), ("R2a", 0.20), ("R4b", 0.20), ("R6b", 0.22)],
)
def test_turns_of_real_voices_are_found(dialogues, find, name: str, most: float) -> None:
    if name not in dialogues:
        pytest.skip("pyannote.audio, which ships the sample, is not installed")
    dialogue = dialogues[name]

    found = find(dialogue.path)

    assert len(speakers(found)) == dialogue.n_speakers
    assert error_rate(dialogue, found) <= most


def test_turns_lie_within_the_audio_and_one_speaks_at_a_time(dialogues, find) -> None:
    found = find(dialogues["D3"].path)
    duration_s = max(turn.end for turn in found.turns)

    assert duration_s <= 48.2
    assert all(0 <= turn.start < turn.end for turn in (*found.turns, *found.exclusive_turns))
    ends = [0.0, *(turn.end for turn in found.exclusive_turns)]
    assert all(t.start >= e - 1e-6 for t, e in zip(found.exclusive_turns, ends, strict=False))
    assert found.turns[0].speaker == "SPEAKER_00"


def test_one_voice_is_one_speaker(find) -> None:
    """All recordings of one person each: no speed, mood or language makes two of them."""
    said = [clip for clip in read_clips(SPEECH) if clip.utterances]

    found = {clip.name: len(speakers(find(clip.path))) for clip in said}

    assert found == dict.fromkeys(found, 1)


def test_noise_is_nobody(find) -> None:
    for clip in read_clips(SPEECH):
        if not clip.utterances:
            assert find(clip.path).turns == ()


@pytest.mark.parametrize("n_samples", [0, 1, 300, 8000])
def test_next_to_nothing_is_nobody(diarizer, tmp_path: Path, n_samples: int) -> None:
    (tmp_path / "a.pcm").write_bytes(bytes(2 * n_samples))

    found = diarizer.find_turns(AudioSource(tmp_path / "a.pcm", n_samples), DiarizationOptions())

    assert (found.turns, found.warnings) == ((), ())


def test_where_nobody_speaks_alone_for_long_there_still_are_two(
    dialogues, diarizer, tmp_path: Path
) -> None:
    """Two people greet each other on the telephone: no window of 1.5 s holds one of them."""
    if "sample" not in dialogues:
        pytest.skip("pyannote.audio, which ships the sample, is not installed")
    audio = cut(dialogues["sample"].path, tmp_path, 6.5, 11.2)

    found = diarizer.find_turns(audio, DiarizationOptions())

    assert len(speakers(found)) == 2


@pytest.mark.parametrize(
    ("options", "n_found"),
    [
        ({"num_speakers": 2}, 2), ({"max_speakers": 3}, 3), ({"min_speakers": 5}, 5),
        ({"clustering_threshold": 1.5}, 1),
    ],
)  # fmt: skip
def test_options_say_how_many_there_are(dialogues, find, options, n_found: int) -> None:
    assert len(speakers(find(dialogues["R4a"].path, **options))) == n_found


def test_known_voices_go_by_their_names_and_are_heard_whole(
    dialogues, find, tmp_path: Path
) -> None:
    """The reference begins with twelve seconds of silence."""
    voices = {}
    for name in ("libri-1088-0000", "sb_spk1_snt5"):
        clip = next(clip for clip in read_clips(SPEECH) if clip.name == name)
        samples = np.concatenate([np.zeros(12 * 16_000, np.float32), clip.read()])
        path = tmp_path / f"{name}.pcm"
        path.write_bytes((samples * 32767).astype("<i2").tobytes())
        voices[name] = KnownSpeaker(name, AudioSource(path, len(samples)))

    found = find(dialogues["D1"].path, known_speakers=tuple(voices.values()), wants_embeddings=True)

    assert speakers(found) == set(voices) == set(found.embeddings)
    true = {"l1088": "libri-1088-0000", "sb1": "sb_spk1_snt5"}
    turns = [(turn.speaker, turn.start, turn.end) for turn in found.turns]
    names = compare(dialogues["D1"].turns, turns).names
    assert {found_name: true[name] for found_name, name in names.items()} == dict(
        zip(voices, voices, strict=True)
    )


def test_a_reference_without_speech_is_warned_of(dialogues, find, tmp_path: Path) -> None:
    (tmp_path / "silent.pcm").write_bytes(bytes(2 * 48_000))
    silent = KnownSpeaker("Ann", AudioSource(tmp_path / "silent.pcm", 48_000))

    found = find(dialogues["D1"].path, known_speakers=(silent,))

    assert [warning.code for warning in found.warnings] == ["known_speaker_unusable"]
    assert speakers(found) == {"SPEAKER_00", "SPEAKER_01"}


def test_progress_is_told_to_the_end_and_ends_the_work(dialogues, find) -> None:
    told: list[float] = []
    find(dialogues["D1"].path, report=told.append)

    assert told == sorted(told)
    assert told[-1] == 1.0
    assert any(0.9 < fraction < 0.95 for fraction in told)  # of clustering
    for last in (0.1, 0.7, 0.91):

        def cancel(fraction: float, last: float = last) -> None:
            if fraction > last:
                raise JobCancelled("no longer wanted")

        with pytest.raises(JobCancelled):
            find(dialogues["D1"].path, report=cancel)


def test_the_same_comes_out_every_time(dialogues, find) -> None:
    assert find(dialogues["D2"].path) == find(dialogues["D2"].path)


def test_it_runs_where_torch_and_pyannote_cannot_be_imported(
    dialogues, real_diarizer: Path
) -> None:
    program = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({NO_TORCH!r}))\n"
        "from bench.evaluation.speakers.programs import main\n"
        f"main(['longhand', {str(real_diarizer.parent)!r}, {str(dialogues['D1'].path)!r}])\n"
        "assert not [n for n in sys.modules if n.startswith('torch') and sys.modules[n]]\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, check=True
    )

    said = json.loads(done.stdout.splitlines()[0])
    assert {turn[0] for turn in said["turns"]} == {"SPEAKER_00", "SPEAKER_01"}


def test_damaged_weights_are_told_with_their_cure(real_diarizer: Path, tmp_path: Path) -> None:
    folder = tmp_path / "diarization"
    folder.mkdir()
    for path in real_diarizer.iterdir():
        (folder / path.name).write_bytes(path.read_bytes()[:1000])

    with pytest.raises(EngineFailed, match="models rm diarization"):
        open_onnx_diarizer(folder, threads=1)
