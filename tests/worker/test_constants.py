"""What the numbers of Whisper's input have to agree with."""

from __future__ import annotations

from shared.catalogue import MODELS
from shared.request import TranscriptionRequest
from worker.audio import constants


def test_the_numbers_are_those_of_openai_whisper() -> None:
    from whisper import audio

    assert constants.SAMPLE_RATE_HZ == audio.SAMPLE_RATE
    assert constants.HOP_LENGTH == audio.HOP_LENGTH
    assert constants.CHUNK_S == audio.CHUNK_LENGTH
    assert constants.N_SAMPLES == audio.N_SAMPLES
    assert constants.N_FRAMES == audio.N_FRAMES
    assert constants.FRAMES_PER_SECOND == audio.FRAMES_PER_SECOND
    assert constants.SECONDS_PER_TIME_TOKEN == 1 / audio.TOKENS_PER_SECOND


def test_no_chunk_may_be_asked_for_that_is_longer_than_a_model_hears() -> None:
    [longest] = [
        limit.le
        for limit in TranscriptionRequest.model_fields["chunk_size"].metadata
        if hasattr(limit, "le")
    ]

    assert longest == constants.CHUNK_S
    assert max(entry.chunk_s for entry in MODELS.values()) <= constants.CHUNK_S
