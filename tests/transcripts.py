"""Transcripts with words and speakers, made from a few spans."""

from __future__ import annotations

import re

from shared.transcript import Word


def change_segments(transcript, **fields):
    """The transcript with other fields in every segment; a list holds one value for each."""
    segments = [
        segment.model_copy(
            update={
                name: value[n] if isinstance(value, list) else value
                for name, value in fields.items()
            }
        )
        for n, segment in enumerate(transcript.segments)
    ]
    return transcript.model_copy(update={"segments": tuple(segments)})


def word_by_word(transcript):
    """
    The transcript with words, which share the time of their segment evenly.

    Words begin with a space, as Whisper writes them; Chinese characters are a word each.
    """
    told = []
    for segment in transcript.segments:
        texts = re.findall(r"\s*[\u3000-\u9fff\uff00-\uffef]|\s*[^\s\u3000-\uffff]+", segment.text)
        step = (segment.end - segment.start) / max(1, len(texts))
        told.append(
            tuple(
                Word(
                    word=text,
                    start=segment.start + n * step,
                    end=segment.start + (n + 1) * step,
                    probability=0.5,
                )
                for n, text in enumerate(texts)
            )
        )
    return change_segments(transcript, words=told)
