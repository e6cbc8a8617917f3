"""What is told of a process only from another one: other arithmetic, and how much memory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hearing import hear_apart
from real_speech import CONVERSATION, n_errors, samples_of, silence, turns_of, write_wav

pytestmark = pytest.mark.speech

TURNS = turns_of("conversation")

ALLOWED_BYTES = 5_000_000
"""Of growth, from one minute to ten, which are 19 MB of 16-bit samples and 38 MB of float32."""


@pytest.fixture(scope="module", params=["0", "1"])
def arithmetic(request: pytest.FixtureRequest) -> dict[str, str]:
    """
    The variables that choose it.

    Processors of Intel take CTranslate2's MKL, others oneDNN: in int8 their sums differ.
    """
    return {"CT2_USE_MKL": request.param}


def test_either_arithmetic_writes_the_right_words(
    real_models: Path, tmp_path: Path, arithmetic: dict[str, str]
) -> None:
    clip = write_wav(tmp_path / "clip.wav", [samples_of(CONVERSATION, tmp_path, 4.5)])

    [heard] = hear_apart(real_models, ["base"], [clip], arithmetic)

    assert heard.text == (
        "Good morning. Did you listen to the interview that we recorded on the boat?"
    )


def test_a_third_of_a_second_is_no_sentence(
    real_models: Path, recordings: Path, arithmetic: dict[str, str]
) -> None:
    clip = recordings / "c23_300ms.wav"

    found = hear_apart(real_models, ["base", "tiny.en"], [clip], arithmetic)

    said = [re.sub(r"\W", "", heard.text.lower()) for heard in found]
    assert len(said) == 2
    assert set(said) <= {"", "7", "seven"}


def test_ten_minutes_need_no_more_memory_than_one(real_models: Path, tmp_path: Path) -> None:
    said = samples_of(CONVERSATION, tmp_path, 4.5)
    minute = write_wav(tmp_path / "minute.wav", [said, silence(26)] * 2)
    ten_minutes = write_wav(tmp_path / "ten.wav", [said, silence(296)] * 2)

    # What is imported and loaded on the way is held from the first on.
    _, short, long = hear_apart(real_models, ["tiny.en"], [minute, minute, ten_minutes])

    assert n_errors(" ".join([TURNS[0].text] * 2), long.text) <= 1
    assert long.peak_bytes - short.peak_bytes < ALLOWED_BYTES, (short, long)
