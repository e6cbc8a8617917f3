"""OpenAI's own client for Node against a whole site: it reads the words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from environments import run_script
from sites import Site
from spoken import Clip

PROGRAM = """
import fs from "node:fs";
import OpenAI from "openai";

const [url, path, calls, apiKey] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });

async function run(name, fields) {
  const [group, method] = name.split(" ");
  if (group === "models") {
    return method === "list"
      ? (await client.models.list()).data
      : await client.models.retrieve(fields.model);
  }
  const found = await client.audio[group][method]({ file: fs.createReadStream(path), ...fields });
  if (!fields.stream) return found;
  const events = [];
  for await (const event of found) events.push(event);
  return events;
}

const found = [];
for (const [name, fields] of JSON.parse(calls)) {
  try {
    found.push(await run(name, fields));
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    const { status, code, param, type } = error;
    found.push({ raised: error.constructor.name, status, code, param, type });
  }
}
console.log(JSON.stringify(found));
"""
"""Makes the calls it is given, `[name, fields]`, and prints what each returned or raised."""

CREATE = "transcriptions create"
CALLS: dict[str, list[Any]] = {
    "json": [CREATE, {"model": "whisper-1"}],
    "text": [CREATE, {"model": "whisper-1", "response_format": "text"}],
    "srt": [CREATE, {"model": "whisper-1", "response_format": "srt"}],
    "vtt": [CREATE, {"model": "whisper-1", "response_format": "vtt"}],
    "verbose": [
        CREATE,
        {
            "model": "whisper-1",
            "response_format": "verbose_json",
            "timestamp_granularities": ["word", "segment"],
        },
    ],
    "diarized": [
        CREATE,
        {
            "model": "whisper-1",
            "response_format": "diarized_json",
            "chunking_strategy": {"type": "server_vad", "threshold": 0.4},
        },
    ],
    "stream": [CREATE, {"model": "whisper-1", "stream": True}],
    "translation": [
        "translations create",
        {"model": "tiny", "temperature_increment": "0"},
    ],
    "models": ["models list", {}],
    "model": ["models retrieve", {"model": "Systran/faster-whisper-small"}],
    "no model": ["models retrieve", {"model": "gpt-9"}],
    "bad format": [CREATE, {"model": "whisper-1", "response_format": "mp3"}],
}


@pytest.fixture(scope="module")
def run(
    node_project: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., list[Any]]:
    """A function that makes calls by the client: the site, a file and the calls."""

    def make(site: Site, path: Path, calls: list[Any], key: str = "unused") -> list[Any]:
        folder = tmp_path_factory.mktemp("client")
        # A module finds its packages beside itself.
        (folder / "node_modules").symlink_to(node_project("openai") / "node_modules")
        given = (site.stack.url, path, json.dumps(calls), key)
        said = run_script("node", PROGRAM, *given, cwd=folder)
        found: list[Any] = json.loads(said)
        return found

    return make


@pytest.fixture(scope="module")
def returned(run: Callable[..., list[Any]], compat_site: Site, clip: Clip) -> dict[str, Any]:
    """What each of `CALLS` returned or raised, by its name."""
    return dict(zip(CALLS, run(compat_site, clip.path, [*CALLS.values()]), strict=True))


def test_the_words_come_in_every_format(returned: dict[str, Any], words: str) -> None:
    assert [returned[name]["text"] for name in ("json", "verbose", "diarized")] == [words] * 3
    assert returned["text"] == words + "\n"
    assert returned["srt"].startswith("1\n00:00:0") and words[:20] in returned["srt"]
    assert returned["vtt"].startswith("WEBVTT\n") and words[:20] in returned["vtt"]


def test_words_and_speakers_are_where_the_client_looks(
    returned: dict[str, Any], words: str
) -> None:
    assert " ".join(word["word"] for word in returned["verbose"]["words"]) == words
    assert "A" in {segment["speaker"] for segment in returned["diarized"]["segments"]}


def test_the_words_are_streamed(returned: dict[str, Any], words: str) -> None:
    *deltas, done = returned["stream"]

    assert "".join(event["delta"] for event in deltas) == words
    assert (done["type"], done["text"]) == ("transcript.text.done", words)


def test_speech_is_translated_by_a_model_that_can(returned: dict[str, Any]) -> None:
    assert returned["translation"]["text"]


def test_models_are_listed_and_found(returned: dict[str, Any]) -> None:
    assert {"demo", "tiny", "base"} <= {model["id"] for model in returned["models"]}
    assert returned["model"]["id"] == "Systran/faster-whisper-small"


def test_an_error_is_the_one_openai_raises(
    returned: dict[str, Any], run: Callable[..., list[Any]], small_site: Site, tmp_path: Path
) -> None:
    large = tmp_path / "large.wav"
    large.write_bytes(bytes(2_000_000))
    errors = [
        returned["no model"],
        returned["bad format"],
        *run(small_site, large, [CALLS["json"]]),
    ]

    assert {error["type"] for error in errors} == {"invalid_request_error"}
    assert [(e["raised"], e["status"], e["code"], e["param"]) for e in errors] == [
        ("NotFoundError", 404, "model_not_found", "model"),
        ("BadRequestError", 400, "invalid_request", "response_format"),
        ("APIError", 413, "audio_too_large", "file"),
    ]


def test_a_key_opens_and_anything_else_is_refused(
    run: Callable[..., list[Any]], keyed_site: tuple[Site, str], clip: Clip, words: str
) -> None:
    site, key = keyed_site

    [heard] = run(site, clip.path, [CALLS["json"]], key)
    [refused] = run(site, clip.path, [CALLS["json"]], "nonsense")

    assert heard["text"] == words
    assert (refused["raised"], refused["status"], refused["type"]) == (
        "AuthenticationError", 401, "authentication_error",
    )  # fmt: skip
