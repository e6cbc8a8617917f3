"""Whatever text and times an aligner is given, words come out in order within the audio."""

from __future__ import annotations

import math
import random

import pytest
from aligned import MakeAudio, assert_in_order, seconds, segment, with_pauses, word

from models.training.demo_model.voices import Utterance
from worker.alignment import Aligner, AlignmentOptions

ODD_TEXTS = {
    "digits": " 3 14 1592",
    "digits and words": " We need 10 more chairs for room 4b.",
    "punctuation": " ... !?",
    "Chinese": "我们需要更多的椅子。",
    "mixed": " We 需要 ten № ½ more % chairs, l’été naïve",
    "nothing": "",
    "spaces": "   ",
    "far too long": " the number is zero one two" * 60,
    "combining": " café",
    "capitals": " İSTANBUL STRASSE ẞ",
}


@pytest.mark.parametrize("method", ["nearest", "linear", "ignore"])
@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS)
def test_odd_text_has_words_in_order_within_segment_and_audio(
    text: str, method: str, aligner: Aligner, said: list[Utterance], audio_of: MakeAudio
) -> None:
    audio = audio_of(with_pauses(said[0]))
    options = AlignmentOptions("en", interpolate=method, wants_characters=True)

    [found] = aligner.align(audio, [segment(text, 0.5, 0.5 + seconds(said[0]))], options)

    assert found.words is not None
    assert "".join(w.word for w in found.words) == (text if text.strip() else "")
    assert_in_order(found.words, found.start, found.end)
    assert_in_order(found.chars or (), found.start, found.end)
    assert "".join(c.char for c in found.chars or ()) == "".join(text.split())


@pytest.mark.parametrize(
    ("start", "end"), [(0.5, 0.5), (0.5, 0.5001), (90.0, 95.0), (2.0, 1.0), (-1.0, 99.0)]
)
def test_odd_spans_leave_words_in_order_within_the_audio(
    start: float, end: float, aligner: Aligner, said: list[Utterance], audio_of: MakeAudio
) -> None:
    audio = audio_of(with_pauses(said[0]))

    [found] = aligner.align(
        audio, [segment(f" {said[0].text}", start, end)], AlignmentOptions("en")
    )

    assert 0 <= found.start <= found.end <= audio.duration_s
    assert len(found.words or ()) == len(said[0].text.split())
    assert_in_order(found.words or (), found.start, found.end)


def test_random_segments_have_words_in_order_whatever_whisper_said_of_them(
    aligner: Aligner, said: list[Utterance], audio_of: MakeAudio
) -> None:
    draw = random.Random(9)
    audio = audio_of(with_pauses(*said[:3]))
    pieces = [*"aZ9,. -é中'½", " the", " number", " 12", "?", "\u0301"]
    for _ in range(40):
        starts = sorted(draw.uniform(-0.5, audio.duration_s + 1) for _ in range(4))
        given = []
        for start in starts:
            texts = ["".join(draw.choices(pieces, k=draw.randint(0, 9))) for _ in range(4)]
            times = [draw.choice([start, math.nan, 1e9, draw.uniform(0, 9)]) for _ in texts]
            words = [word(t, time, time - 0.1) for t, time in zip(texts, times, strict=True)]
            end = start + draw.choice([0, 0.01, 1, 3])
            kept = words if draw.random() < 0.5 else None
            given.append(segment("".join(texts), start, end, kept))
        options = AlignmentOptions(
            draw.choice(["en", "zh"]), draw.choice(["nearest", "linear", "ignore"]), True
        )

        found = aligner.align(audio, given, options)

        assert [s.text for s in found] == [s.text for s in given]
        for before, after in zip(given, found, strict=True):
            assert "".join(w.word for w in after.words or ()).strip() == before.text.strip()
            assert_in_order(after.words or (), after.start, after.end)
            assert_in_order(after.chars or (), after.start, after.end)
        assert_in_order(found, 0.0, audio.duration_s)


def test_text_the_aligner_cannot_spell_keeps_whispers_times(
    aligner: Aligner, said: list[Utterance], audio_of: MakeAudio
) -> None:
    given = segment("我们开会", 0.6, 1.6, [word("我们", 0.6, 1.0), word("开会", 1.1, 1.6)])

    [found] = aligner.align(audio_of(with_pauses(said[0])), [given], AlignmentOptions("zh"))

    assert found == given


def test_text_too_long_for_its_span_keeps_whispers_times(
    aligner: Aligner, said: list[Utterance], audio_of: MakeAudio
) -> None:
    words = [word(" number", (100 + i) / 100, (101 + i) / 100) for i in range(20)]
    given = segment(" number" * 20, 1.0, 1.2, words)

    [found] = aligner.align(audio_of(with_pauses(said[0])), [given], AlignmentOptions("en"))

    assert found.words == tuple(words)
