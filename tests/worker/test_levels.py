"""How channels are mixed and recordings are raised: decided over the whole, for what is said."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sounds import make_sound

from models.training.demo_model.clips import draw_utterances
from worker.audio.levels import BLOCK, Levels, Mix, choose_mix, level_each

Samples = NDArray[np.float32]


def speech(seed: int = 7, n: int = 4) -> Samples:
    """(n_samples,) float32: some sentences with pauses, at about -20 dB."""
    pause = np.zeros(8000, np.float32)
    said = draw_utterances(n, seed=seed)
    pieces = [p for u in said for p in (u.waveform.astype(np.float32) / 32768, pause)]
    samples = np.concatenate(pieces)
    return (samples * 0.1 / np.sqrt((samples**2).mean())).astype(np.float32)


def noise(n: int, db: float, seed: int = 1) -> Samples:
    draw = np.random.default_rng(seed)
    return (draw.standard_normal(n) * 10 ** (db / 20)).astype(np.float32)


def measured(*channels: Samples, piece: int = 1000) -> Levels:
    levels = Levels()
    samples = np.stack(channels, axis=1)
    for start in range(0, len(samples), piece):
        levels.add(samples[start : start + piece])
    return levels


def gain_db(mix: Mix, n_channels: int = 1) -> float:
    return float(20 * np.log10(mix.factors[n_channels].sum()))


@pytest.mark.parametrize("db", [-12, 0, 6])
def test_a_usual_recording_is_left_as_it_is(db: float) -> None:
    assert choose_mix(measured(speech() * 10 ** (db / 20))).is_plain


@pytest.mark.parametrize("db", [-30, -45, -60])
def test_a_quiet_recording_is_raised_to_usual(db: float) -> None:
    said = speech()
    hiss = noise(len(said), db - 50)

    assert gain_db(choose_mix(measured(said * 10 ** (db / 20) + hiss))) == pytest.approx(
        -db - 7,
        abs=3,  # its loud parts are above its mean
    )


def test_clicks_do_not_hide_that_a_recording_is_quiet() -> None:
    said = speech() * 0.01
    clicked = said.copy()
    clicked[5000 :: len(said) // 4] = 0.9
    clicked[:4000] += make_sound("tone", 0.25, 3).astype(np.float32) / 32768  # and a short beep

    assert gain_db(choose_mix(measured(clicked))) == pytest.approx(
        gain_db(choose_mix(measured(said))), abs=3
    )


@pytest.mark.parametrize("sound", ["silence", "white noise", "hum"])
@pytest.mark.parametrize("level", [0.08, 0.003, 0.0003])
def test_noise_alone_is_not_raised(sound: str, level: float) -> None:
    samples = make_sound(sound, 20, 5, level).astype(np.float32) / 32768

    assert choose_mix(measured(samples)).is_plain


def test_words_far_apart_count_and_the_noise_between_them_does_not() -> None:
    word = speech(n=1)[:8000]
    samples = noise(60 * 16_000, -50)
    samples[100_000:108_000] += word

    assert choose_mix(measured(samples)).is_plain


def test_what_is_over_full_scale_is_lowered() -> None:
    assert gain_db(choose_mix(measured(speech() * 30))) < -20


def test_how_samples_come_changes_nothing() -> None:
    said = speech() * 0.01

    at_once, in_pieces = (measured(said, piece=n).by_channels()[1] for n in (len(said), 37))
    assert np.allclose(at_once, in_pieces, atol=0.2)
    assert len(at_once) in (len(said) // BLOCK, len(said) // BLOCK + 1)


def test_two_alike_and_two_who_take_turns_are_mixed_as_ever() -> None:
    ann, bob = speech(3), speech(4)
    n = min(len(ann), len(bob))

    assert choose_mix(measured(ann, ann)).is_plain
    assert choose_mix(measured(ann[:n], bob[:n])).is_plain
    assert choose_mix(measured(ann, np.zeros_like(ann))).is_plain


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_one_channel_is_taken_where_they_cancel_each_other_even_in_part(share: float) -> None:
    said = speech()
    other = said.copy()
    other[: round(share * len(said))] *= -1

    factors = choose_mix(measured(said, other)).factors[2][:, 0]
    assert sorted(factors) == [0.0, 1.0]


@pytest.mark.parametrize("db", [-20, -30, -45])
def test_a_quiet_channel_with_words_of_its_own_is_raised(db: float) -> None:
    ann, bob = speech(3), speech(4)
    silence = np.zeros(len(bob), np.float32), np.zeros(len(ann), np.float32)
    left = np.concatenate([ann, silence[0]]) + noise(len(ann) + len(bob), -70, 1)
    right = np.concatenate([silence[1], bob]) * 10 ** (db / 20)
    right += noise(len(right), db - 50, 2)

    mix = choose_mix(measured(left, right)).factors[2][:, 0]
    assert 20 * np.log10(mix[1] / mix[0]) == pytest.approx(-db, abs=5)
    assert mix[0] == pytest.approx(0.5)


@pytest.mark.parametrize("other", ["leak", "hiss", "silence"])
def test_a_quiet_channel_without_words_of_its_own_is_not_raised(other: str) -> None:
    said = speech()
    right = {
        "leak": said * 0.03 + noise(len(said), -90),
        "hiss": noise(len(said), -60),
        "silence": np.zeros_like(said),
    }[other]

    assert choose_mix(measured(said, right.astype(np.float32))).is_plain


def test_each_channel_is_raised_by_itself() -> None:
    ann, bob = speech(3), speech(4)
    n = min(len(ann), len(bob))

    both = level_each(measured(ann[:n], bob[:n] * 0.01))
    alone = level_each(measured(bob[:n] * 0.01))

    assert np.array_equal(np.diag(both.factors[2]), [1.0, alone.factors[1][0, 0]])
    assert alone.factors[1][0, 0] > 30
