"""Real people called by their names, by two recordings of each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from real_speech import samples_of, silence

from shared.errors import ModelNotFound
from shared.transcript import SpeakerTurn
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource
from worker.diarization import Diarization, DiarizationOptions, KnownSpeaker
from worker.processes.local import LocalModels
from worker.settings import WorkerSettings

pytestmark = pytest.mark.speech


class Cut(NamedTuple):
    """A part of a clip; times in seconds."""

    clip: str
    start: float = 0.0
    end: float = 60.0


REFERENCES = {
    "Rita": [Cut("sb_spk1_snt5.wav"), Cut("sb_spk1_snt6.wav")],
    "Jane": [Cut("austen_0880.wav"), Cut("austen_0930.wav")],
    "Will": [Cut("sonnet003.mp3", 4, 8), Cut("sonnet003.mp3", 20, 24)],
    "Paul": [Cut("libri-1995-0001.wav", 0, 4), Cut("libri-1995-0001.wav", 4, 8)],
}
"""Two recordings of each; Paul does not take part."""

SAID = [
    ("Rita", Cut("sb_spk1_snt1.wav")), ("Will", Cut("sonnet001.mp3", 10, 14)),
    ("Jane", Cut("austen_0870.wav")), ("Rita", Cut("sb_spk1_snt2.wav")),
    ("Will", Cut("sonnet001.mp3", 20, 24)), ("Jane", Cut("austen_0890.wav")),
    ("Rita", Cut("sb_spk1_snt3.wav")), ("Will", Cut("sonnet001.mp3", 30, 34)),
    ("Rita", Cut("sb_spk1_snt4.wav")),
]  # fmt: skip


@pytest.fixture(scope="module")
def read(speech_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AudioSource]:
    """A function that writes parts of clips one after the other, with pauses between."""
    folder = tmp_path_factory.mktemp("voices")

    def write(*cuts: Cut) -> AudioSource:
        pieces: list[NDArray[np.int16]] = []
        for cut in cuts:
            samples = samples_of(speech_dir / "clips" / cut.clip, folder, cut.end)
            pieces += [samples[round(cut.start * SAMPLE_RATE_HZ) :], silence(0.3)]
        path = folder / f"{len(list(folder.iterdir()))}.raw"
        path.write_bytes(np.concatenate(pieces).astype("<i2").tobytes())
        return AudioSource(path, sum(map(len, pieces)))

    return write


@pytest.fixture(scope="module")
def turns(read: Callable[..., AudioSource]) -> list[SpeakerTurn]:
    """Who takes part when."""
    found, now = [], 0.0
    for name, cut in SAID:
        end = now + read(cut).duration_s
        found.append(SpeakerTurn(speaker=name, start=now, end=end - 0.3))
        now = end
    return found


@pytest.fixture(scope="module")
def find(read: Callable[..., AudioSource]) -> Callable[..., Diarization]:
    """A function that lets the site's own diarizer hear the dialogue, with recordings of voices."""
    models = LocalModels(WorkerSettings(default_model="base", downloads=True, device="cpu"))
    name = models.site_diarizer
    try:
        models.load_diarizer(name)
    except ModelNotFound as error:
        pytest.skip(f"{name} is not to be had here: {error}")

    def run(*known: KnownSpeaker) -> Diarization:
        audio, options = read(*(cut for _, cut in SAID)), DiarizationOptions(known_speakers=known)
        return models.find_turns(name, audio, options, lambda fraction: None)

    return run


def share_by_right_name(found: Diarization, turns: list[SpeakerTurn]) -> float:
    """How much of what is said is told to be by who says it."""
    shared = sum(
        max(0.0, min(a.end, b.end) - max(a.start, b.start))
        for a in turns
        for b in found.exclusive_turns
        if a.speaker == b.speaker
    )
    return shared / sum(turn.end - turn.start for turn in turns)


def test_people_go_by_their_names(
    find: Callable[..., Diarization], read: Callable[..., AudioSource], turns: list[SpeakerTurn]
) -> None:
    known = [KnownSpeaker(name, read(cut)) for name, cuts in REFERENCES.items() for cut in cuts]

    found = find(*known)

    assert {turn.speaker for turn in found.turns} == {"Rita", "Jane", "Will"}
    assert share_by_right_name(found, turns) > 0.8
    assert found.warnings == ()


def test_a_recording_is_heard_to_its_end(
    find: Callable[..., Diarization], read: Callable[..., AudioSource], turns: list[SpeakerTurn]
) -> None:
    late = read(*REFERENCES["Jane"])
    samples = np.fromfile(late.path, "<i2")
    late.path.write_bytes(np.concatenate([silence(14), samples]).astype("<i2").tobytes())

    found = find(KnownSpeaker("Jane", AudioSource(late.path, late.n_samples + len(silence(14)))))

    jane = [turn for turn in turns if turn.speaker == "Jane"]
    assert share_by_right_name(found, jane) > 0.7
