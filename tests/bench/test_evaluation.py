"""`make eval-speech` without a model: halves, made recordings, scores, bars, and processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from waiting import wait_until

from bench.evaluation.bars import best_peer, judge
from bench.evaluation.heard import Heard, Part
from bench.evaluation.recordings import (
    ONCE_S,
    PAUSE_S,
    Spoken,
    draw_recording,
    make_noises,
    write_mp3,
)
from bench.evaluation.running import Run, Runner, SystemFailed, plan
from bench.evaluation.scoring import Counts, Score, Times, bootstrap, score, word_start_errors
from bench.evaluation.sets import CLIPS, LONG, Item
from bench.evaluation.speech import DEVELOPMENT, SPEECH, Clip, Utterance, english, read_clips
from bench.evaluation.systems import OURS, WITH_VAD
from bench.evaluation.table import Evaluation
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import decode

# Made-up clips: a tone that is the utterance, with silence before and after it.


def spoken(name, duration_s, start, end):
    utterance = Utterance(f"text of {name}", start, end)
    time_s = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tone = np.sin(2 * np.pi * 300 * time_s) * ((time_s >= start) & (time_s < end)) * 0.1
    clip = Clip(name, "en", Path(f"{name}.wav"), duration_s, (utterance,))
    return Spoken(clip, tone.astype(np.float32))


SPOKEN = [spoken("a", 2.0, 0.3, 1.6), spoken("b", 3.0, 0.2, 2.9), spoken("c", 25.0, 0.5, 24.0)]


def test_half_of_the_clips_is_kept_for_the_report():
    if not SPEECH.is_dir():
        pytest.skip(f"no recordings in {SPEECH}: they are not part of this repository")
    clips = read_clips(SPEECH)
    halves = [{clip.name for clip in english(clips, half)} for half in (0, 1)]

    assert halves[0] == DEVELOPMENT
    assert not halves[0] & halves[1]
    assert "spontaneous_fast_slow" in halves[1]
    assert [clip.name for clip in clips if not clip.utterances] == ["noise1", "noise2", "noise3"]


def test_what_to_do_is_said_where_there_are_no_recordings(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"manifest\.json is missing.*--speech DIR"):
        read_clips(tmp_path)


def test_a_seed_gives_the_same_recording_each_time():
    noises = [make_noises()["pink"]]
    first, again, other = (
        draw_recording(SPOKEN, noises, seed=seed, length_s=60) for seed in (1, 1, 2)
    )

    assert np.array_equal(first.samples, again.samples)
    assert first.utterances == again.utterances != other.utterances


def test_long_clips_come_once_and_short_ones_alike():
    made = draw_recording(SPOKEN, [], seed=3, length_s=120)
    texts = [u.text for u in made.utterances]
    n = {name: texts.count(f"text of {name}") for name in "abc"}

    assert n["c"] == 1
    assert abs(n["a"] - n["b"]) <= 1
    assert n["a"] > 5
    assert SPOKEN[2].clip.duration_s >= ONCE_S
    ends = [u.end for u in made.utterances]
    pauses = [u.start - end for u, end in zip(made.utterances[1:], ends[:-1], strict=True)]
    assert min(pauses) > PAUSE_S[0]


def test_utterances_are_where_the_truth_says_after_the_codec(tmp_path):
    made = draw_recording(SPOKEN[:2], [], seed=4, length_s=30)
    path = tmp_path / "made.mp3"
    write_mp3(path, made.samples)
    audio = decode(path, tmp_path / "made.pcm")
    samples = audio.read(0, audio.n_samples)
    step = SAMPLE_RATE_HZ // 100
    loud = np.abs(samples[: len(samples) // step * step]).reshape(-1, step).max(1) > 0.01
    changes = np.flatnonzero(np.diff(np.pad(loud, 1).astype(int))) / 100
    truth = [t for u in made.utterances for t in (u.start, u.end)]

    assert len(changes) == len(truth) >= 8
    assert np.abs(changes - truth).max() < 0.04


def test_noise_lies_ten_decibels_below_speech_over_about_half_of_the_time():
    noise = make_noises()["white"]
    made = draw_recording([SPOKEN[0]], [noise], seed=5, length_s=600)
    silent = np.ones(len(made.samples), bool)
    for u in made.utterances:
        silent[int((u.start - 0.1) * SAMPLE_RATE_HZ) : int((u.end + 0.1) * SAMPLE_RATE_HZ)] = False
    heard = made.samples[silent]
    blocks = heard[: len(heard) // 1600 * 1600].reshape(-1, 1600)
    levels = 20 * np.log10(np.sqrt((blocks**2).mean(1)))

    assert 0.3 < (levels > -50).mean() < 0.7
    assert abs(np.median(levels[levels > -50]) + 36) < 1
    assert abs(np.median(levels[levels < -50]) + 60) < 1


SAID = [
    Utterance("mister brown is here", 1.0, 2.0),
    Utterance("one two three", 4.0, 5.0),
    Utterance("all of it", 7.0, 8.0),
]


def heard(*segments):
    return Heard(tuple(Part(text, start, end) for text, start, end in segments))


def test_a_text_that_differs_in_form_alone_has_no_errors():
    found = score(
        SAID, heard((" Mr. Brown's here. One, two, three.", 1.0, 5.0), ("ALL of it!", 7, 8))
    )

    assert found.counts == Counts(n_words=8)


def test_errors_are_counted_by_kind_and_by_utterance():
    said = [Utterance("a b c d", 0, 1), Utterance("e f", 2, 3), Utterance("g h", 4, 5)]
    found = score(said, heard(("a x c d", 0, 1), ("g h i", 4, 5)))

    assert found.by_utterance == [
        Counts(4, substituted=1),
        Counts(2, lost=2),
        Counts(2, invented=1),
    ]
    assert found.counts == Counts(8, 1, 2, 1)
    assert found.counts.rate == 4 / 8


def test_nothing_heard_is_all_lost():
    found = score(SAID, Heard(()))

    assert found.counts == Counts(8, lost=8)
    assert found.times == Times()


def test_chinese_is_compared_by_characters_of_one_script():
    found = score([Utterance("欢迎大家", 0, 1)], heard(("歡迎,大家都", 0, 1)), "zh")

    assert found.counts == Counts(4, invented=1)


def test_times_are_of_segments_that_begin_or_end_with_an_utterance():
    found = score(
        SAID,
        heard(("Mister Brown is here. 1, 2, 3", 1.1, 4.8), ("All of", 7.3, 7.5), ("it", 7.5, 8.2)),
    ).times

    assert found.starts == pytest.approx([0.1, 0.3])  # the second begins within a segment
    assert found.nearest_starts == pytest.approx([0.1, 2.9, 0.3])
    assert found.ends == pytest.approx([0.2])  # "one two three" is one word to the normalizer
    assert found.nearest_ends == pytest.approx([2.8, 0.2, 0.2])


def test_an_utterance_whose_times_nobody_noted_has_no_time_errors():
    said = [replace(SAID[0], has_times=False), *SAID[1:]]
    found = score(said, heard((SAID[0].text, 9, 10), ("all of it", 7, 8)))

    assert found.times.starts == [0.0]
    assert len(found.times.nearest_starts) == 2


def test_word_times_are_compared_for_words_that_were_recognised():
    said = [Utterance("all", 1.0, 1.2), Utterance("of", 1.3, 1.4), Utterance("it", 1.5, 1.6)]
    words = (Part(" All", 1.1, 1.2), Part(" off", 1.3, 1.4), Part(" it.", 1.4, 1.6))

    assert word_start_errors(said, Heard((), words)) == pytest.approx([0.1, 0.1])


def test_the_interval_holds_the_difference_and_repeats():
    ours = [Counts(10, substituted=1)] * 50 + [Counts(10)] * 50
    theirs = [Counts(10, lost=1)] * 100
    within = bootstrap(ours, theirs)

    assert within == bootstrap(ours, theirs)
    assert within.difference[0] < -0.05 < within.difference[1] < 0
    assert within.ratio[0] < 0.5 < within.ratio[1] < 1


def scored(n_errors, *, lost=0, starts=(0.1, 0.2), cpu_s=10.0):
    counts = Counts(100, substituted=n_errors - lost, lost=lost)
    return Score([counts], Times(starts=list(starts)), cpu_s)


THEIRS = {"faster-whisper": scored(10, lost=5), WITH_VAD: scored(20, lost=1, cpu_s=9.0)}


def test_longhand_is_held_to_the_setting_with_the_fewest_errors():
    assert best_peer(THEIRS) == "faster-whisper"


@pytest.mark.parametrize(
    ("ours", "n_noise_words", "broken"),
    [
        (scored(10, lost=5, cpu_s=9.0), 0, []),
        (scored(11, lost=5, cpu_s=9.0), 0, ["WER / its WER"]),
        (scored(10, lost=6, cpu_s=9.0), 0, ["words lost"]),
        (scored(9, cpu_s=9.1), 0, ["CPU seconds"]),
        (scored(9, cpu_s=1.0), 1, ["words out of noise and silence"]),
        (
            scored(9, starts=(0.24, 0.24), cpu_s=1.0),
            0,
            ["segment starts, p90", "segment starts, median"],
        ),
        (scored(9, starts=(), cpu_s=1.0), 0, ["segment starts, p90", "segment starts, median"]),
    ],
)
def test_a_bar_breaks_where_longhand_is_worse(ours, n_noise_words, broken):
    bars = judge("base", {OURS: ours, **THEIRS}, n_noise_words)

    assert len(bars) == 6
    assert [bar.name for bar in bars if not bar.holds] == broken


def test_a_bar_without_its_measure_is_neither_held_nor_broken():
    bars = judge("base", {OURS: scored(9)}, 0)

    assert {b.name for b in bars if b.holds is None} == {"WER / its WER", "CPU seconds"}


def item(name="file", set_name=LONG, **fields):
    about = {"language": "en", "half": 1, **fields}
    return Item(name, set_name, path=Path(name), sha256=name, duration_s=1.0, **about)


def test_the_report_tells_every_system_and_whether_bars_hold():
    said = item(utterances=tuple(SAID))
    right = heard(*((u.text, u.start, u.end) for u in SAID))
    wrong = heard(("mister brown", 1.0, 2.0))
    found = {OURS: wrong, "faster-whisper": right}
    evaluation = Evaluation({(name, "base"): [(said, text)] for name, text in found.items()})

    assert not evaluation.holds
    assert "| faster-whisper (best) | 0.0% | 0 | 0 | 0 |" in evaluation.text()
    assert "| base | words lost | 6 | ≤ 0 | DOES NOT HOLD |" in evaluation.text()


def test_slow_systems_hear_one_long_file_and_english_models_hear_english():
    items = [item("1"), item("2"), item("3", half=0), item("4", CLIPS, language="de")]
    runs = plan(["openai-whisper", OURS], ["tiny.en", "base"], items)

    assert [[i.name for i in run.items] for run in runs] == [
        ["1", "3"],
        ["1", "2", "3"],
        ["1", "3", "4"],
        ["1", "2", "3", "4"],
    ]


ANSWERS = """
import pathlib, sys
for line in sys.stdin:
    with pathlib.Path({log!r}).open("a") as log:
        log.write("asked\\n")
    print('{{"segments": [], "words": [], "language": "en", "cpu_s": 1.5}}', flush=True)
"""


def test_what_was_heard_is_not_heard_again(tmp_path):
    log = tmp_path / "log"
    program = [sys.executable, "-c", ANSWERS.format(log=str(log))]
    run = Run(OURS, "demo", (item("1"), item("2")))
    first = Runner(tmp_path / "heard", program).run([run])
    again = Runner(tmp_path / "heard", program).run([run])

    assert first == again == {(OURS, "demo"): [(i, Heard((), (), "en", 1.5)) for i in run.items]}
    assert log.read_text().count("asked") == 3  # the first file is a warm-up too


def test_the_last_words_of_a_process_that_failed_are_told(tmp_path):
    program = [sys.executable, "-c", "raise SystemExit('no memory left')"]

    with pytest.raises(SystemFailed, match="longhand-demo ended at 1: no memory left"):
        Runner(tmp_path, program).run([Run(OURS, "demo", (item("1"),))])


def test_an_interrupt_leaves_no_process(tmp_path):
    begun = tmp_path / "begun"
    program = f"import os, pathlib, time\npathlib.Path({str(begun)!r}).write_text(str(os.getpid()))"
    runner = Runner(tmp_path, [sys.executable, "-c", f"{program}\ntime.sleep(60)"])

    def interrupt():
        wait_until(lambda: begun.exists() and begun.read_text(), 20)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        runner.run([Run(OURS, "demo", (item("1"),))])

    assert not Path(f"/proc/{begun.read_text()}").exists()
