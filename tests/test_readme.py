"""The README's one request is answered as the README says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import pytest
from source_code import ROOT
from texts import spoken_text, word_errors, words

README = (ROOT / "README.md").read_text(encoding="utf-8")


def lasting(answer):
    """An answer without what differs between runs, or kinds of CPU: of its text, the words."""
    info = {name: value for name, value in answer["info"].items() if name != "language_probability"}
    info["duration_after_vad"] = round(info["duration_after_vad"])
    varying = {"job_id": "", "process_time": 0, "text": words(answer["text"])}
    return answer | varying | {"info": info}


@pytest.mark.main_job
def test_the_request_of_the_readme_prints_the_answer_of_the_readme(real_models, start_stack):
    command = re.search(r"^\$ (curl -F .*)$", README, re.MULTILINE)[1]
    promised = json.loads(re.search(r"```json\n(.*?)```", README, re.DOTALL)[1])
    env = {"LONGHAND_DEFAULT_MODEL": "base", "LONGHAND_MODELS_DIR": str(real_models)}
    stack = start_stack(env=env)
    sent = command.replace("http://127.0.0.1:8499", stack.url).replace("curl", "curl -sS", 1)
    answered = json.loads(subprocess.check_output(shlex.split(sent), cwd=ROOT))

    assert lasting(answered) == lasting(promised)
    assert re.fullmatch("[0-9a-f]{32}", answered["job_id"])
    assert list(answered) == list(promised)  # also in this order


def test_the_program_that_tries_the_routes_says_that_a_file_is_not_there(tmp_path):
    tried = subprocess.run(
        [sys.executable, "test_http_endpoints.py", "http://127.0.0.1:1", "nowhere.wav"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )

    assert (tried.returncode, tried.stdout) == (2, "there is no file nowhere.wav\n")


def test_the_readme_shows_what_the_demo_prints():
    shown = re.search(r"^\$ make demo\n(.*?)\n```", README, re.MULTILINE | re.DOTALL)[1]
    said = spoken_text(ROOT / "samples" / "conversation.txt")
    lines = [line.partition(": ") for line in shown.splitlines()]

    assert word_errors(said, " ".join(text for _, _, text in lines)) == 0
    assert [speaker for speaker, _, _ in lines] == ["[SPEAKER_00]", "[SPEAKER_01]"] * 5 + [
        "[SPEAKER_00]"
    ]
