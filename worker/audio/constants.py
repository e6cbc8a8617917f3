"""
The numbers of Whisper's input. As in openai/whisper, most are computed from a few others.

See `whisper/audio.py` there: all of its models were trained on audio in this form.
"""

from __future__ import annotations

SAMPLE_RATE_HZ = 16_000
"""Of all decoded audio; the models that align and diarize want the same."""

BYTES_PER_SAMPLE = 2
"""Of decoded audio on disk: signed 16-bit."""

HOP_LENGTH = 160
"""Samples from one frame of a spectrogram to the next."""

CHUNK_S = 30
"""Seconds of audio in one input of a model; shorter chunks are padded to it."""

N_SAMPLES = CHUNK_S * SAMPLE_RATE_HZ
"""480,000: samples of a whole chunk."""

N_FRAMES = N_SAMPLES // HOP_LENGTH
"""3,000: frames of a whole chunk's spectrogram."""

FRAMES_PER_SECOND = SAMPLE_RATE_HZ // HOP_LENGTH
"""100."""

SECONDS_PER_TIME_TOKEN = 2 / FRAMES_PER_SECOND
"""0.02: the encoder halves the number of frames, and each of its outputs has a time token."""

N_TIME_TOKENS = N_FRAMES // 2 + 1
"""1,501: from `<|0.00|>` to `<|30.00|>`."""
