"""AssemblyAI's own Python client, with nothing but its address changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from environments import run_script
from sites import Site
from two_voices import ANN, BEN, assert_heard, assert_in_turn, served

SETTINGS = """
import json, sys
import assemblyai as aai

aai.settings.base_url, aai.settings.api_key = sys.argv[1], sys.argv[2]
aai.settings.polling_interval = 0.2


def plain(value):
    return json.loads(value.json())
"""
PROGRAM = (
    SETTINGS
    + """
path, url = sys.argv[3:]
transcriber = aai.Transcriber()
config = aai.TranscriptionConfig(
    speech_models=["universal-3-pro"], speaker_labels=True, language_code="en_us",
    keyterms_prompt=["interview"],
)
done = transcriber.transcribe(path, config)
told = {
    "status": done.status.value, "error": done.error, "text": done.text,
    "words": [plain(word) for word in done.words],
    "utterances": [plain(utterance) for utterance in done.utterances],
    "duration": done.audio_duration, "confidence": done.confidence,
    "sentences": [plain(sentence) for sentence in done.get_sentences()],
    "paragraphs": [plain(paragraph) for paragraph in done.get_paragraphs()],
    "srt": done.export_subtitles_srt(), "vtt": done.export_subtitles_vtt(chars_per_caption=32),
    "found": [match.text for match in done.word_search(["interview", "two hours"])],
}
far = transcriber.transcribe(url, aai.TranscriptionConfig(language_detection=True))
told["far"] = {"text": far.text, "language": far.json_response["language_code"]}
told["listed"] = [item.id for item in transcriber.list_transcripts().transcripts]
told["made"] = [far.id, done.id]
told["deleted"] = aai.Transcript.delete_by_id(done.id).status.value
told["left"] = [item.id for item in transcriber.list_transcripts().transcripts]
print(json.dumps(told))
"""
)
REFUSED = (
    SETTINGS
    + """
told = []
for source in sys.argv[3:]:
    try:
        done = aai.Transcriber().transcribe(source)
        told.append([done.status.value, done.error or done.text])
    except aai.TranscriptError as error:
        told.append([error.status_code, str(error)])
print(json.dumps(told))
"""
)

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def run(environment: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A function that runs a program of the client."""

    def make(program: str, site: Site, key: str, *given: object) -> Any:
        folder = tmp_path_factory.mktemp("client")
        python = environment("assemblyai")
        return json.loads(run_script(python, program, site.stack.url, key, *given, cwd=folder))

    return make


@pytest.fixture(scope="module")
def told(run: Run, speaking_site: Site, two_turns: Path) -> dict[str, Any]:
    """What the client makes of the recording, uploaded and by its URL."""
    with served(two_turns.parent) as host:
        url = f"{host}/{two_turns.name}"
        found: dict[str, Any] = run(PROGRAM, speaking_site, "unused", two_turns, url)
    return found


@pytest.mark.promise("T22")
def test_an_upload_is_read_with_words_and_speakers(told: dict[str, Any]) -> None:
    words = told["words"]
    starts = [word["start"] / 1000 for word in words]

    assert (told["status"], told["error"]) == ("completed", None)
    assert_heard(told["text"])
    assert assert_in_turn(words, lambda word: word["speaker"], starts) == ("A", "B")
    assert " ".join(word["text"] for word in words) == told["text"]
    first, second = told["utterances"]
    assert (first["speaker"], second["speaker"]) == ("A", "B")
    assert_heard(first["text"], ANN.text)
    assert_heard(second["text"], BEN.text)
    assert abs(told["duration"] - 10.5) <= 0.5
    assert 0.5 < told["confidence"] <= 1


@pytest.mark.promise("T22")
def test_sentences_paragraphs_subtitles_and_words_are_read(told: dict[str, Any]) -> None:
    assert told["sentences"][0]["text"] == "Good morning."
    assert " ".join(each["text"] for each in told["sentences"]) == told["text"]
    assert [paragraph["text"] for paragraph in told["paragraphs"]] == [
        utterance["text"] for utterance in told["utterances"]
    ]
    assert told["srt"].startswith("1\n00:00:0")
    assert "Good morning." in told["srt"]
    cues = [block.split("\n")[1:] for block in told["vtt"].strip().split("\n\n")[1:]]
    assert len(cues) > 3
    assert all(len(line) <= 32 for cue in cues for line in cue)
    assert told["found"] == ["interview", "two hours"]


def test_a_url_is_read_and_its_language_found(told: dict[str, Any]) -> None:
    assert_heard(told["far"]["text"])
    assert told["far"]["language"] == "en"


@pytest.mark.promise("T22")
def test_transcripts_are_listed_and_deleted(told: dict[str, Any]) -> None:
    assert [job for job in told["listed"] if job in told["made"]] == told["made"]
    assert told["deleted"] == "completed"
    assert [job for job in told["left"] if job in told["made"]] == told["made"][:1]


@pytest.mark.promise("T22")
def test_errors_are_those_that_assemblyai_raises(
    run: Run, speaking_site: Site, keyed_site: tuple[Site, str], clip: Any, tmp_path: Path
) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("nothing to hear")

    broken, far = run(REFUSED, speaking_site, "unused", text, "http://10.0.0.1/a.wav")
    [unknown] = run(REFUSED, keyed_site[0], "nonsense", clip.path)

    assert (broken[0], far[0], unknown[0]) == (400, 400, 401)
    assert "audio" in broken[1]
    assert "LONGHAND_ALLOWED_HOSTS" in far[1]
    assert "key" in unknown[1]


def test_a_key_opens(run: Run, keyed_site: tuple[Site, str], clip: Any, words: str) -> None:
    site, key = keyed_site

    assert run(REFUSED, site, key, clip.path) == [["completed", words]]
