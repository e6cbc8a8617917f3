"""Whether somebody speaks, while they speak: silero's model, window by window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from worker.audio.constants import SAMPLE_RATE_HZ
from worker.speech.voice_activity import FRESH_WINDOWS, SILERO_CONTEXT, WARM_WINDOWS, WINDOW, silero

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_AT_ONCE = 32
"""onnxruntime keeps memory for each number of windows that it has seen: only powers of two are."""


class VoiceStream:
    """
    The probability of speech in each window of 32 ms, as audio arrives.

    Silero's state is made anew every 8 s, from the last second of audio: it was trained on short
    recordings, and after half a minute of noise it would miss a loud sentence.
    """

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.float32)
        self._context = np.zeros(SILERO_CONTEXT, np.float32)
        self._warm = np.zeros((0, SILERO_CONTEXT + WINDOW), np.float32)
        self._h = self._c = np.zeros((1, 1, 128), np.float32)
        self._n_windows = 0

    def hear(self, samples: NDArray[np.float32]) -> list[float]:
        """
        Take the next samples; give the probability of each window that they complete.

        Args:
            samples: (n_samples,) float32, at 16 kHz.
        """
        joined = np.concatenate([self._rest, samples])
        n_windows = len(joined) // WINDOW
        self._rest = joined[n_windows * WINDOW :]
        windows = joined[: n_windows * WINDOW].reshape(n_windows, WINDOW)
        probs: list[float] = []
        while len(windows):
            n = min(_MOST_AT_ONCE, 1 << (len(windows).bit_length() - 1))
            n = min(n, max(1, 1 << ((FRESH_WINDOWS - self._n_windows).bit_length() - 1)))
            probs += self._run(windows[:n])
            windows = windows[n:]
        return probs

    def _run(self, windows: NDArray[np.float32]) -> list[float]:
        before = np.vstack([self._context, windows[:-1, -SILERO_CONTEXT:]])
        inputs = np.hstack([before, windows]).astype(np.float32)
        self._context = windows[-1, -SILERO_CONTEXT:].copy()
        probs = self._infer(inputs)
        self._warm = np.vstack([self._warm, inputs])[-WARM_WINDOWS:]
        self._n_windows += len(windows)
        if self._n_windows >= FRESH_WINDOWS:
            self._fresh()
            for n in (16, 8, 4, 2, 1):  # of 31 windows
                if len(self._warm) == WARM_WINDOWS:
                    first = WARM_WINDOWS - (2 * n - 1)
                    self._infer(self._warm[first : first + n])
        return probs

    def _infer(self, inputs: NDArray[np.float32]) -> list[float]:
        output: Any
        output, self._h, self._c = silero().run(None, {"input": inputs, "h": self._h, "c": self._c})
        return [float(prob) for prob in output.reshape(-1)]

    def _fresh(self) -> None:
        self._h = self._c = np.zeros((1, 1, 128), np.float32)
        self._n_windows = 0


_SPEECH, _SILENCE = 0.5, 0.35
"""Windows at least so probable are speech; those below the other are silence."""

_WINDOW_S = WINDOW / SAMPLE_RATE_HZ

BEGINS_S = 0.06
"""Speech of this length begins an utterance."""


class SpeechEdges:
    """
    Where speech begins and ends.

    Args:
        endpoint_s: Silence of this length ends an utterance.

    Attributes:
        is_speaking: Whether an utterance is going on.
        silence_s: How long it has been silent.
    """

    def __init__(self, endpoint_s: float, is_speaking: bool) -> None:
        self._endpoint_s = endpoint_s
        self._speech_s = 0.0
        self.silence_s = 0.0
        self.is_speaking = is_speaking

    def next(self, prob: float, *, is_known: bool = False) -> str | None:
        """
        Whether speech begins or ends with the next window: `start`, `end` or None.

        Args:
            is_known: The window was heard before, by another object: it begins and ends nothing.
        """
        if prob >= _SPEECH:
            self._speech_s, self.silence_s = self._speech_s + _WINDOW_S, 0.0
        elif prob < _SILENCE:
            self._speech_s, self.silence_s = 0.0, self.silence_s + _WINDOW_S
        elif self.is_speaking:
            self.silence_s = 0.0
        if is_known:
            return None
        if not self.is_speaking and self._speech_s >= BEGINS_S:
            self.is_speaking = True
            return "start"
        if self.is_speaking and self.silence_s >= self._endpoint_s:
            self.is_speaking = False
            return "end"
        return None
