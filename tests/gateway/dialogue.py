"""A transcript of two people with words and sentences, and how it is written in parts."""

from __future__ import annotations

from shared.transcript import Segment, SpeakerTurn, Transcript, Word

ANN = " Good morning, Bob. It is late."
BOB = " Dr. Smith said so."


def said(text: str, start: float, *, n: int, speaker: str | None) -> Segment:
    """A segment whose words last 0.3 s each and follow each other at once."""
    texts = [f" {word}" for word in text.split()]
    words = tuple(
        Word(
            word=word,
            start=round(start + 0.3 * i, 3),
            end=round(start + 0.3 * (i + 1), 3),
            probability=0.9,
            speaker=speaker,
        )
        for i, word in enumerate(texts)
    )
    return Segment(
        id=n,
        seek=0,
        start=start,
        end=words[-1].end,
        text=text,
        tokens=(1, 2, 3),
        temperature=0.0,
        avg_logprob=-0.2,
        compression_ratio=0.9,
        no_speech_prob=0.01,
        words=words,
        speaker=speaker,
    )


def dialogue(*, has_speakers: bool = True) -> Transcript:
    """Ann from 0.5 s, Bob from 5 s, of 8 s."""
    names = ("SPEAKER_01", "SPEAKER_00") if has_speakers else (None, None)
    first, second = said(ANN, 0.5, n=0, speaker=names[0]), said(BOB, 5.0, n=1, speaker=names[1])
    turns = tuple(
        SpeakerTurn(speaker=segment.speaker, start=segment.start, end=segment.end)
        for segment in (first, second)
        if segment.speaker
    )
    return Transcript(
        text=ANN + BOB,
        task="transcribe",
        language="en",
        language_probability=0.98,
        duration=8.0,
        duration_after_vad=4.0,
        segments=(first, second),
        model="demo",
        model_revision="1",
        engine="faster_whisper",
        turns=turns or None,
    )
