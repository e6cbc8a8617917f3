"""Voice activity: how probable speech is, by silero's model or by pyannote's."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from shared.errors import EngineFailed
from worker.audio.constants import SAMPLE_RATE_HZ
from worker.audio.source import AudioSource, Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Method = Literal["silero", "pyannote"]

WINDOW = 512
"""Samples for which silero gives one probability: 32 ms."""

SILERO_CONTEXT = 64
"""Samples before a window that silero is given with it."""

FRESH_WINDOWS = 250
"""Silero's state is reset after this many windows, 8 s."""

WARM_WINDOWS = 31
"""Windows before a reset that are run again, about 1 s, to build up a new state."""

_SHAPES_APART = 47
"""The model gets multiples of this many windows at a time."""

_FUNDAMENTAL_HZ = (70, 300)
_TELEPHONE_HZ = 3400
_CUT_OFF = 10**-2.4
"""Speech with less of its power than this below 300 Hz, -24 dB, lacks its fundamental. Usual
microphones leave -19 dB or more, a telephone -34."""

_RESTORED = 2.0
_SPECTRUM = 4096

_SEGMENTATION_BATCH = 8
"""Windows per run of pyannote's model: about 75 MB. Larger ones are no faster on a CPU."""


@dataclass(frozen=True, eq=False)
class VoiceActivity:
    """
    How probable speech is at regular places of a part of the audio.

    Attributes:
        speech_probs: (n_places,) float32, 0 to 1.
        first: The sample of the first place.
        step: Samples from one place to the next.
    """

    speech_probs: NDArray[np.float32]
    first: int
    step: int

    def sample(self, index: int) -> int:
        """The sample of a place."""
        return self.first + index * self.step


def measure_voice(
    audio: AudioSource,
    part: Span,
    method: Method,
    report: Callable[[float], None] = lambda fraction: None,
) -> VoiceActivity:
    """
    Measure how probable speech is throughout a part of the audio.

    Args:
        report: Called after each block with the fraction done; what it raises ends the work.

    Raises:
        EngineFailed: This worker does not have the model.
    """
    measure = {"silero": _measure_by_silero, "pyannote": _measure_by_pyannote}[method]
    return measure(audio, part, report)


@cache
def silero() -> Any:
    """Silero's model, in onnxruntime."""
    from faster_whisper.vad import get_vad_model

    return get_vad_model().session


def _measure_by_silero(
    audio: AudioSource, part: Span, report: Callable[[float], None]
) -> VoiceActivity:
    """
    Run silero with a fresh state every few seconds.

    It was trained on short recordings. Without the resets, it misses a loud sentence after half a
    minute of noise.
    """
    import numpy as np

    found = []
    for start in range(part.start, part.end, FRESH_WINDOWS * WINDOW):
        end = min(part.end, start + FRESH_WINDOWS * WINDOW)
        warm = max(part.start, start - WARM_WINDOWS * WINDOW)
        found.append(_silero_probs(audio, warm, end)[(start - warm) // WINDOW :])
        report((end - part.start) / (part.end - part.start))
    return VoiceActivity(np.concatenate(found), part.start, WINDOW)


def _silero_probs(audio: AudioSource, start: int, end: int) -> NDArray[np.float32]:
    """The probability of speech in each window, (n_windows,), from a fresh state."""
    import numpy as np

    samples = with_fundamental(audio.read(start, end))
    windows = np.pad(samples, (0, -len(samples) % WINDOW)).reshape(-1, WINDOW)
    contexts = np.vstack([np.zeros(SILERO_CONTEXT, np.float32), windows[:-1, -SILERO_CONTEXT:]])
    inputs = np.hstack([contexts, windows])  # (n_windows, 576)
    # onnxruntime keeps 0.1 MB for each number of windows it has seen, so there must be few.
    inputs = np.pad(inputs, ((0, -len(inputs) % _SHAPES_APART), (0, 0)))
    fresh = np.zeros((1, 1, 128), np.float32)
    output, *_ = silero().run(None, {"input": inputs, "h": fresh, "c": fresh})
    probs: NDArray[np.float32] = output.reshape(-1)[: len(windows)]
    return probs


def with_fundamental(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """
    Restore the lowest tones of voices if a telephone has cut them off.

    Silero relies on the fundamental of a voice, 70 to 300 Hz, and misses whole sentences without
    it. The overtones lie at multiples of the fundamental, so half-wave rectification brings it
    back (Makhoul and Berouti, "High-frequency regeneration in speech coding systems", 1979).

    Args:
        samples: (n_samples,) float32, some seconds at 16 kHz.

    Returns:
        (n_samples,) float32; `samples` itself if nothing is cut off.
    """
    import numpy as np

    windows = np.pad(samples, (0, -len(samples) % _SPECTRUM)).reshape(-1, _SPECTRUM)
    power = (np.abs(np.fft.rfft(windows)) ** 2).sum(axis=0)
    hz = np.fft.rfftfreq(_SPECTRUM, 1 / SAMPLE_RATE_HZ)
    low, high = _FUNDAMENTAL_HZ
    voice = power[(hz >= high) & (hz < _TELEPHONE_HZ)].sum()
    if power[(hz >= low) & (hz < high)].sum() >= _CUT_OFF * voice:
        return samples
    halves = np.fft.rfft(np.maximum(samples, 0))
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE_HZ)
    halves[(hz < low) | (hz > high)] = 0
    restored = samples + _RESTORED * np.fft.irfft(halves, len(samples))
    return restored.astype(np.float32)


def segmentation_weights(package: str = "whisperx") -> Path:
    """
    The path of pyannote's segmentation model, which comes with whisperx. whisperx is not imported.

    Raises:
        EngineFailed: The package is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise EngineFailed(
            "vad_method=pyannote needs the extra 'diarization' on the worker, which this one "
            "was set up without; use vad_method=silero",
            param="vad_method",
        )
    return Path(spec.origin).parent / "assets" / "pytorch_model.bin"


@cache
def _segmentation() -> Any:
    weights = segmentation_weights()
    with warnings.catch_warnings():
        # It warns that FFmpeg is missing. We do not need it: the model is given samples.
        warnings.simplefilter("ignore")
        from pyannote.audio import Model
        from pyannote.audio.telemetry import set_telemetry_metrics

        set_telemetry_metrics(False)
        # It advises to upgrade the file. The file is whisperx's and works as it is.
        logging.getLogger("lightning.pytorch.utilities.migration.utils").setLevel(logging.WARNING)
        model: Any = Model.from_pretrained(weights)
    return model.eval()


def _measure_by_pyannote(
    audio: AudioSource, part: Span, report: Callable[[float], None]
) -> VoiceActivity:
    """
    Run pyannote's model on 5 s at a time, every half second, and average over the overlaps.

    `pyannote.audio.Inference` does the same for whisperx, but holds the whole audio. This reads it
    by span and keeps 8 bytes for each place, 1.7 MB an hour.
    """
    import numpy as np

    model = _segmentation()
    window = int(model.specifications.duration * SAMPLE_RATE_HZ)
    hop = window // 10
    middle = model.receptive_field_size(num_frames=1) // 2
    step = model.receptive_field_size(num_frames=2) - model.receptive_field_size(num_frames=1)
    shape = np.hamming(model.num_frames(window)).astype(np.float32)
    n_samples = part.end - part.start
    n_windows = 1 + max(0, -(-(n_samples - window) // hop))
    total = np.zeros(n_samples // step + 1 + len(shape), np.float32)
    weight = np.zeros_like(total)
    for first in range(0, n_windows, _SEGMENTATION_BATCH):
        last = min(first + _SEGMENTATION_BATCH, n_windows)
        start = part.start + first * hop
        samples = audio.read(start, min(part.end, start + (last - first - 1) * hop + window))
        for n, probs in enumerate(_speech_of_anyone(model, samples, last - first, hop, window)):
            at = round((first + n) * hop / step)
            total[at : at + len(shape)] += probs * shape
            weight[at : at + len(shape)] += shape
        report(last / n_windows)
    probs = (total / np.maximum(weight, 1e-12))[: n_samples // step + 1].astype(np.float32)
    return VoiceActivity(probs, part.start + middle, step)


def _speech_of_anyone(
    model: Any, samples: NDArray[np.float32], n_windows: int, hop: int, window: int
) -> NDArray[np.float32]:
    """The probability of the likeliest of the model's three speakers, (n_windows, n_places)."""
    import numpy as np
    import torch

    padded = np.pad(samples, (0, (n_windows - 1) * hop + window - len(samples)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    with torch.inference_mode():
        found = model(torch.from_numpy(windows.copy())[:, None])  # (n_windows, n_places, 3)
    probs: NDArray[np.float32] = found.amax(-1).numpy()
    return probs
