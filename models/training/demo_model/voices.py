"""Synthetic voices: espeak-ng through its library, which tells when words are said, and flite."""

from __future__ import annotations

import ctypes
import io
import multiprocessing
import random
import re
import subprocess
import wave
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import gcd
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

T = TypeVar("T")

SAMPLE_RATE_HZ = 16_000
RMS_LEVEL = 0.08
"""Root mean square every utterance is brought to before augmentation; full scale is 1."""

ACCENTS = "en en-us en-gb-x-rp en-gb-scotland en-us-nyc en-029".split()
MANDARIN = "cmn-latn-pinyin"
"""The espeak-ng voice that reads Hanzi rightly; plain `cmn` spells the pinyin as English."""

TRAINING_VARIANTS = (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 klatt klatt2 klatt3 Alex Alicia Andrea Annie adam "
    "linda steph2 john paul pedro robert shelby travis victor zac anika Mike Lee Denis Diogo "
    "Gene Hugo Jacky Marco Mario antonio aunty benjamin boris david ed edward iven max miguel "
    "pablo rob steph"
).split()
HELD_OUT_VARIANTS = "Andy belinda michael quincy".split()
TRAINING_FLITE = "slt awb kal16".split()
HELD_OUT_FLITE = "rms"

_ESPEAK_SYNCHRONOUS = 2
_ESPEAK_UTF8 = 1
_ESPEAK_RATE, _ESPEAK_PITCH = 1, 3
_EVENT_END, _EVENT_WORD = 0, 1


@dataclass(frozen=True)
class Utterance:
    """
    One sentence said by one voice.

    Attributes:
        waveform: (n_samples,) int16, mono, 16 kHz, silence trimmed.
        words: `(n_characters, start)` per word in time order: the text before the
            word is `text[:n_characters]`, and it begins at `start` seconds. Empty
            where the synthesiser does not tell (flite).
    """

    text: str
    language: str
    voice: str
    waveform: NDArray[np.int16]
    words: tuple[tuple[int, float], ...]


class _Event(ctypes.Structure):
    """`espeak_EVENT` of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Espeak:
    """libespeak-ng in this process. The library has one global voice: one object a process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libespeak-ng.so.1")
        self._rate_hz: int = self._library.espeak_Initialize(_ESPEAK_SYNCHRONOUS, 0, None, 0)
        if self._rate_hz <= 0:
            raise OSError("espeak-ng did not start; is the package espeak-ng installed?")
        self._pieces: list[bytes] = []
        self._words: list[tuple[int, float]] = []
        self._callback = _Callback(self._receive)  # kept: the library holds only its address
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, samples: object, n_samples: int, events: object) -> int:
        if samples and n_samples:
            self._pieces.append(ctypes.string_at(samples, n_samples * 2))  # type: ignore[arg-type]
        i = 0
        while events[i].type != _EVENT_END:  # type: ignore[index]
            event = events[i]  # type: ignore[index]
            if event.type == _EVENT_WORD:
                self._words.append((event.text_position - 1, event.audio_position / 1000))
            i += 1
        return 0

    def speak(
        self, text: str, voice: str, rate_wpm: int, pitch: int
    ) -> tuple[NDArray[np.float32], list[tuple[int, float]]]:
        """Return `((n_samples,) float32 at 16 kHz, [(n_characters, start_s), …])`."""
        self._pieces.clear()
        self._words.clear()
        # The library has one callback, whichever object spoke last.
        self._library.espeak_SetSynthCallback(self._callback)
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        self._library.espeak_SetParameter(_ESPEAK_RATE, rate_wpm, 0)
        self._library.espeak_SetParameter(_ESPEAK_PITCH, pitch, 0)
        data = text.encode()
        self._library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _ESPEAK_UTF8, None, None)
        self._library.espeak_Synchronize()
        samples = np.frombuffer(b"".join(self._pieces), dtype=np.int16)
        return _resample(samples, self._rate_hz), list(self._words)


def in_fresh_process(function: Callable[..., T], *arguments: Any) -> T:
    """
    Call a function where nothing was said yet.

    What espeak-ng says depends on what it said before in its process: only so are voices
    drawn by a seed the same ones every time.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def _resample(samples: NDArray[np.int16], rate_hz: int) -> NDArray[np.float32]:
    waveform = samples.astype(np.float32) / 32768
    common = gcd(rate_hz, SAMPLE_RATE_HZ)
    if rate_hz == SAMPLE_RATE_HZ:
        return waveform
    resampled = resample_poly(waveform, SAMPLE_RATE_HZ // common, rate_hz // common)
    return resampled.astype(np.float32)


def speak_flite(text: str, voice: str, stretch: float = 1.0) -> NDArray[np.float32]:
    """Return `(n_samples,) float32` at 16 kHz; above 1 `stretch` is slower."""
    command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.2f}"]
    command += ["-t", text, "-o", "/dev/stdout"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(raw)) as reader:
        rate_hz = reader.getframerate()
    start = raw.find(b"data") + 8  # the length in a header written to a pipe is not to be believed
    samples = np.frombuffer(raw[start : start + (len(raw) - start) // 2 * 2], dtype=np.int16)
    return _resample(samples, rate_hz)


def trim(waveform: NDArray[np.float32]) -> tuple[NDArray[np.int16], float]:
    """Cut silence at both ends, level the rest; return it with the seconds cut from its front."""
    loud = np.flatnonzero(np.abs(waveform) > 0.01)
    if not len(loud):
        raise ValueError("the synthesiser said nothing")
    first = max(0, int(loud[0]) - 160)
    kept = waveform[first : int(loud[-1]) + 160]
    rms = float(np.sqrt((kept**2).mean())) + 1e-6
    levelled = np.clip(kept * (RMS_LEVEL / rms), -1, 1)
    return (levelled * 32767).astype(np.int16), first / SAMPLE_RATE_HZ


def say(
    espeak: Espeak, text: str, language: str, draw: random.Random, *, held_out: bool
) -> Utterance:
    """
    Say a sentence with a voice drawn at random.

    Args:
        held_out: Draw from the voices that are never trained on.
    """
    if language == "en" and draw.random() < 0.2:
        voice = HELD_OUT_FLITE if held_out else draw.choice(TRAINING_FLITE)
        samples, _ = trim(speak_flite(text, voice, draw.uniform(0.85, 1.2)))
        return Utterance(text, language, f"flite-{voice}", samples, ())
    variant = draw.choice(HELD_OUT_VARIANTS if held_out else TRAINING_VARIANTS)
    accent = draw.choice(ACCENTS) if language == "en" else MANDARIN
    voice = f"{accent}+{variant}"
    waveform, words = espeak.speak(text, voice, draw.randint(135, 185), draw.randint(30, 70))
    samples, cut_s = trim(waveform)
    times = tuple((n, max(0.0, start - cut_s)) for n, start in words if _is_word(text, n))
    return Utterance(text, language, voice, samples, times)


def _is_word(text: str, position: int) -> bool:
    return bool(re.match(r"\w", text[position : position + 1]))
