"""Deepgram's own Python client, with nothing but its address changed."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from environments import run_script
from real_speech import samples_of
from sites import Site
from two_voices import ANN, BEN, TEXT, assert_heard, assert_in_turn, served

from worker.audio.constants import SAMPLE_RATE_HZ

PROGRAM = """
import json, sys
from deepgram import DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment

url, key, calls = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
ws = url.replace("http", "ws", 1)
here = DeepgramClientEnvironment(base=url, production=ws, agent=ws, agent_rest=url)
client = DeepgramClient(api_key=key, environment=here, timeout=200)


def run(source, options):
    media = client.listen.v1.media
    try:
        if source.startswith("http"):
            return media.transcribe_url(url=source, **options).model_dump(mode="json")
        with open(source, "rb") as file:
            return media.transcribe_file(request=file.read(), **options).model_dump(mode="json")
    except ApiError as error:
        return {"raised": type(error).__name__, "status": error.status_code, "body": error.body}


print(json.dumps([run(*call) for call in calls]))
"""
"""Makes the calls it is given, `[path or URL, options]`; prints what each returned or raised."""

Run = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def run(environment: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A function that makes calls by the client."""

    def make(site: Site, calls: list[Any], key: str = "unused") -> list[Any]:
        given = site.stack.url, key, json.dumps(calls)
        said = run_script(
            environment("deepgram"), PROGRAM, *given, cwd=tmp_path_factory.mktemp("client")
        )
        found: list[Any] = json.loads(said)
        return found

    return make


@pytest.fixture(scope="module")
def returned(run: Run, speaking_site: Site, two_turns: Path) -> list[Any]:
    """What the client makes of the recording: of its bytes in full, and of its URL in brief."""
    full = {
        "model": "nova-3", "language": "en-US", "smart_format": True, "diarize": True,
        "utterances": True, "tag": ["calls"],
    }  # fmt: skip
    brief = {"punctuate": False, "detect_language": True}
    with served(two_turns.parent) as host:
        calls = [[str(two_turns), full], [f"{host}/{two_turns.name}", brief]]
        return run(speaking_site, calls)


@pytest.mark.promise("T21")
def test_a_recording_is_read_with_words_speakers_utterances_and_paragraphs(
    returned: list[Any],
) -> None:
    results, about = returned[0]["results"], returned[0]["metadata"]
    [channel] = results["channels"]
    best = channel["alternatives"][0]

    assert_heard(best["transcript"])
    words = best["words"]
    starts = [word["start"] for word in words]
    assert assert_in_turn(words, lambda word: word["speaker"], starts) == (0, 1)
    assert all(0 < word["confidence"] <= 1 for word in words)
    assert " ".join(word["punctuated_word"] for word in words) == best["transcript"]
    utterances = results["utterances"]
    by_speaker = [
        " ".join(u["transcript"] for u in utterances if u["speaker"] == who) for who in (0, 1)
    ]
    for heard, turn in zip(by_speaker, (ANN, BEN), strict=True):
        assert_heard(heard, turn.text)
    paragraphs = best["paragraphs"]["paragraphs"]
    assert [paragraph["speaker"] for paragraph in paragraphs] == [0, 1]
    assert paragraphs[0]["sentences"][0]["text"] == "Good morning."
    assert abs(about["duration"] - 10.5) < 0.1
    assert [info["name"] for info in about["model_info"].values()] == ["base"]
    assert about["tags"] == ["calls"]


@pytest.mark.promise("T21")
def test_a_url_is_read_without_punctuation_and_with_its_language(returned: list[Any]) -> None:
    [channel] = returned[1]["results"]["channels"]
    text = channel["alternatives"][0]["transcript"]

    assert_heard(text, TEXT)
    assert text == text.lower()
    assert not set(text) & set(".,?")
    assert channel["detected_language"] == "en"


@pytest.mark.promise("T21")
def test_channels_are_read_one_by_one(
    run: Run, speaking_site: Site, two_turns: Path, tmp_path: Path
) -> None:
    """Ann on the left, Ben on the right, as telephone systems record them."""
    samples = samples_of(two_turns, tmp_path)
    left, right = samples.copy(), samples.copy()
    cut = round((ANN.end + BEN.start) / 2 * SAMPLE_RATE_HZ)
    left[cut:], right[:cut] = 0, 0
    path = tmp_path / "call.wav"
    with wave.open(str(path), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes(np.stack([left, right], axis=1).astype("<i2").tobytes())

    [heard] = run(speaking_site, [[str(path), {"multichannel": True, "utterances": True}]])

    channels = heard["results"]["channels"]
    texts = [channel["alternatives"][0]["transcript"] for channel in channels]
    for text, turn in zip(texts, (ANN, BEN), strict=True):
        assert_heard(text, turn.text)
    told = [(u["channel"], u["start"]) for u in heard["results"]["utterances"]]
    assert {channel for channel, _ in told} == {0, 1}
    assert told == sorted(told, key=lambda pair: pair[1])
    assert heard["metadata"]["channels"] == 2


def test_errors_are_those_that_deepgram_raises(
    run: Run, speaking_site: Site, keyed_site: tuple[Site, str], two_turns: Path, tmp_path: Path
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("nothing to hear")

    broken, far, wrong = run(
        speaking_site,
        [
            [str(text), {}],
            ["http://10.0.0.1/a.wav", {}],
            [str(two_turns), {"redact": "pci"}],
        ],
    )
    [unknown] = run(keyed_site[0], [[str(two_turns), {}]], "nonsense")

    for answer in (broken, far, wrong):
        assert (answer["raised"], answer["status"]) == ("BadRequestError", 400)
        assert set(answer["body"]) == {"err_code", "err_msg", "request_id"}
    assert far["body"]["err_code"] == "REMOTE_CONTENT_ERROR"
    assert wrong["body"]["err_code"] == "INVALID_QUERY_PARAMETER"
    assert (unknown["status"], unknown["body"]["err_code"]) == (401, "INVALID_AUTH")


def test_a_key_opens(run: Run, keyed_site: tuple[Site, str], clip: Any, words: str) -> None:
    site, key = keyed_site

    [heard] = run(site, [[str(clip.path), {"model": "demo"}]], key)

    assert heard["results"]["channels"][0]["alternatives"][0]["transcript"] == words
