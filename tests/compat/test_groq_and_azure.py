"""Groq's own client and OpenAI's for Azure: nothing but their addresses is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from environments import run_script
from sites import Site
from spoken import Clip

CALLS = """
def plain(value):
    return value if isinstance(value, str) else value.to_dict()


def ask(path, **fields):
    with open(path, "rb") as file:
        return plain(client.audio.transcriptions.create(file=file, **fields))


import json
given = sys.argv[3]
told = {
    "json": ask(given, model=MODEL),
    "verbose": ask(given, model=MODEL, response_format="verbose_json", language="en",
                   timestamp_granularities=["word", "segment"], temperature=0.0),
    "text": ask(given, model=MODEL, response_format="text"),
}
try:
    ask(__file__, model=MODEL)
except Exception as error:
    told["refused"] = [type(error).__name__, error.status_code]
print(json.dumps(told))
"""
GROQ = """
import sys
from groq import Groq

client = Groq(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0, timeout=200)
MODEL = "whisper-large-v3-turbo"
"""
AZURE = """
import sys
from openai import AzureOpenAI

client = AzureOpenAI(azure_endpoint=sys.argv[1], api_key=sys.argv[2], api_version="2024-10-21",
                     max_retries=0, timeout=200)
MODEL = "whisper"
"""
CLIENTS = {"groq": GROQ, "openai-1": AZURE, "openai-3": AZURE}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.promise("T23", "T24")
def test_the_words_come_in_every_format_to_who_has_a_key(
    keyed_site: tuple[Site, str],
    environment: Callable[[str], Path],
    clip: Clip,
    words: str,
    tmp_path: Path,
    client: str,
) -> None:
    site, key = keyed_site
    program = CLIENTS[client] + CALLS

    told: dict[str, Any] = json.loads(
        run_script(environment(client), program, site.stack.url, key, clip.path, cwd=tmp_path)
    )

    assert told["json"]["text"] == words
    assert told["text"].strip() == words
    verbose = told["verbose"]
    assert (verbose["text"], verbose["language"]) == (words, "en")
    assert " ".join(word["word"] for word in verbose["words"]) == words
    assert told["refused"] == ["BadRequestError", 400]
