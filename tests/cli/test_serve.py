"""`make serve` as an operator sets it up: its model, its address, what it says meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from cli.redis_server import free_port
from shared.phrase_book import WARNING
from shared.settings import CHECKOUT


def serve(directory: Path, env_file: Path, *options: str, **variables: str) -> tuple[str, ...]:
    """Serve until `/health` was asked: the first line, what that said, the other lines, errors."""
    command = [sys.executable, "-m", "cli", "serve", f"--directory={directory}"]
    with subprocess.Popen(
        [*command, f"--env-file={env_file}", *options],
        cwd=CHECKOUT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        assert program.stdout and program.stderr
        first = program.stdout.readline()  # at its end if it failed to start
        health = ""
        try:
            if first:
                with urllib.request.urlopen(f"{first.split()[3]}/health", timeout=20) as answer:
                    health = answer.read().decode()
        finally:
            program.terminate()
        return first, health, program.stdout.read(), program.stderr.read()


@pytest.mark.main_job
def test_settings_in_the_env_file_count_and_the_phrase_book_is_called_what_it_is(
    short_dir, tmp_path, demo_model
):
    port = free_port()
    (tmp_path / ".env").write_text(
        "# of compose, too\nREDIS_PASSWORD=secret\nLONGHAND_HOST=0.0.0.0\n"
        f"LONGHAND_PORT={port}\nLONGHAND_DEFAULT_MODEL='demo'\nLONGHAND_DOWNLOADS=true\n"
    )

    set_too = {"LONGHAND_DOWNLOADS": "false", "LONGHAND_LIVE_PORT": str(free_port())}

    first, health, out, err = serve(short_dir, tmp_path / ".env", **set_too)

    assert first == f"Longhand is at http://127.0.0.1:{port} (Ctrl-C stops it). Try:\n", err
    told = json.loads(health)
    assert (told["status"], told["default_model"]) == ("healthy", "demo")
    assert [warning["code"] for warning in told["warnings"]] == ["demo_model"]
    assert f"Warning: {WARNING}." in out
    assert "waiting for the gateway" in err
    assert "waiting for the worker to load the model demo (log in " in err
    log = (short_dir / "logs" / "gateway.log").read_text()
    assert f"0.0.0.0:{port}" in log


def test_what_is_set_goes_before_what_stands_in_the_file(tmp_path):
    (tmp_path / ".env").write_text("LONGHAND_SLOTS=3\nLONGHAND_LOG_LEVEL=debug\nOTHER=1\n")
    program = (
        "import sys, os; from pathlib import Path; from cli.settings import take_env_file;"
        "take_env_file(Path(sys.argv[1]));"
        "found = os.environ;"
        "print(found['LONGHAND_SLOTS'], found['LONGHAND_LOG_LEVEL'], 'OTHER' in found)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, tmp_path / ".env"],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "LONGHAND_SLOTS": "5"},
        capture_output=True,
        text=True,
    )

    assert (answer.stdout, answer.stderr) == ("5 debug False\n", "")


CHOOSE = (
    "from cli.chosen_model import choose_model; found = choose_model();"
    "print(found.name, found.env['LONGHAND_DEFAULT_MODEL']); print(found.sentence)"
)


@pytest.mark.parametrize(
    ("named", "chosen", "words"),
    [
        (None, "demo demo", "LONGHAND_DOWNLOADS is off: going on with the bundled phrase-book"),
        ("small", "small small", "is off; jobs that name no model will wait or fail"),
        ("bsae", "bsae bsae", "jobs that name no model will wait or fail"),
        ("demo", "demo demo", ""),
    ],
)
def test_only_a_model_that_nobody_named_is_stood_in_for(tmp_path, named, chosen, words):
    variables = {"LONGHAND_MODELS_DIR": str(tmp_path), "LONGHAND_DOWNLOADS": "false"}
    variables |= {"LONGHAND_DEFAULT_MODEL": named} if named else {}
    answer = subprocess.run(
        [sys.executable, "-c", CHOOSE],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"]} | variables,
        capture_output=True,
        text=True,
    )

    first, sentence = answer.stdout.split("\n")[:2]
    assert first == chosen, answer.stderr
    assert words in sentence
    assert bool(words) == bool(sentence)
