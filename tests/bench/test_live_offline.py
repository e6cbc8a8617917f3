"""`bench.live` without sockets: real speech and real weights, on its own clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real_speech import CONVERSATION, samples_of, silence, turns_of

from bench.evaluation.speech import Utterance
from bench.live.offline import OneModel, run_together
from bench.live.streams import READ, Stream
from shared.live.request import LiveRequest

pytestmark = pytest.mark.speech

TURN = turns_of("conversation")[0]


def test_a_stream_is_heard_and_measured(real_models: Path, tmp_path: Path) -> None:
    samples = np.concatenate([samples_of(CONVERSATION, tmp_path, TURN.end), silence(1.0)])
    words, step_s = TURN.text.split(), (TURN.end - TURN.start) / len(TURN.text.split())
    spoken = tuple(
        Utterance(word, TURN.start + n * step_s, TURN.start + (n + 1) * step_s)
        for n, word in enumerate(words)
    )
    stream = Stream("one", READ, (samples / 32768).astype(np.float32), spoken)

    [found] = run_together(OneModel("tiny.en"), [stream], LiveRequest(model="tiny.en"), 1.0)

    assert found.counts.n_words == len(words)
    assert found.counts.rate <= 0.15
    assert found.n_committed_changed == 0
    assert found.cpu_s > 0 and found.audio_s == stream.duration_s
