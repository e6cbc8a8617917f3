"""Who speaks when: the turns of speakers, and which of them are known."""

from worker.diarization.opening import open_diarizer
from worker.diarization.values import Diarization, DiarizationOptions, Diarizer, KnownSpeaker
from worker.models.diarization_files import diarizer_name

__all__ = [
    "Diarization",
    "DiarizationOptions",
    "Diarizer",
    "KnownSpeaker",
    "diarizer_name",
    "open_diarizer",
]
