"""The command as typed: what it says, and what it loads to say it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.settings import CHECKOUT

HEAVY = {"flask", "redis", "numpy", "torch", "rq", "faster_whisper", "pydantic"}


def longhand(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        cwd=CHECKOUT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_names_every_command_and_imports_nothing_heavy():
    program = "import sys; sys.argv = ['longhand', '--help']; from cli.__main__ import main"
    program += "; main(); print(*sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    text, modules = answer.rstrip("\n").rsplit("\n", 1)

    assert all(f"\n  {command} " in text for command in ("check", "demo", "models", "serve"))
    assert set(modules.split()) & HEAVY == set()


def test_it_is_typed_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "cli.py").write_text("print('not this one')")
    (tmp_path / "typed").symlink_to(CHECKOUT / "longhand")
    answer = subprocess.run(
        [tmp_path / "typed", "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )

    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("Usage: longhand [OPTIONS] COMMAND")


def test_check_names_the_variable_of_a_wrong_value():
    answer = longhand("check", LONGHAND_LEASE_S="2")

    assert answer.returncode == 1
    assert answer.stderr == "LONGHAND_LEASE_S is 2; it must be at least 5\n"


def test_check_names_both_variables_that_do_not_go_together():
    answer = longhand("check", LONGHAND_THREADS="4", LONGHAND_WAITING_SLOTS="4")

    assert answer.returncode == 1
    assert answer.stderr.startswith("LONGHAND_WAITING_SLOTS is 4; it must be less than LONGHAND_")


def test_check_recognises_a_mistyped_variable():
    answer = longhand("check", LONGHAND_SLOT="3")

    assert answer.returncode == 1
    assert answer.stderr == "LONGHAND_SLOT is not a setting; did you mean LONGHAND_SLOTS?\n"


@pytest.fixture
def site(redis_url, storage_dir, tmp_path) -> dict[str, str]:
    """The variables of a site that works, with the phrase-book."""
    return {
        "LONGHAND_REDIS_URL": redis_url,
        "LONGHAND_STORAGE_DIR": str(storage_dir),
        "LONGHAND_MODELS_DIR": str(tmp_path / "models"),
        "LONGHAND_DEFAULT_MODEL": "demo",
    }


FINE = "settings, Redis, storage, engine and models are fine\n"


def test_check_is_content_with_a_site_that_works_and_says_what_its_model_is(site):
    answer = longhand("check", **site)

    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("LONGHAND_DEFAULT_MODEL: `demo` is the bundled phrase-book")
    assert answer.stdout.endswith(FINE)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"DEFAULT_MODEL": "bsae"}, "LONGHAND_DEFAULT_MODEL is 'bsae', which no catalogue knows"),
        ({"DEFAULT_MODEL": "bsae"}, "did you mean base?"),
        ({"DEFAULT_MODEL": "base", "DOWNLOADS": "false"}, "`./longhand models pull base` fetches"),
        ({"ENGINE": "whisperx", "COMPUTE_TYPE": "float16", "DEVICE": "cuda:7"}, "LONGHAND_"),
    ],
)
def test_check_names_what_jobs_would_fail_of_and_its_cure(site, changed, words):
    variables = {f"LONGHAND_{name}": value for name, value in changed.items()}

    answer = longhand("check", **{**site, **variables})

    assert answer.returncode == 1
    assert words in answer.stderr


def test_check_names_what_a_model_lacks(site, tmp_path):
    folder = tmp_path / "models" / "base"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")

    answer = longhand("check", **{**site, "LONGHAND_DEFAULT_MODEL": "base"})

    assert answer.returncode == 1
    assert f"{folder} lacks model.bin" in answer.stderr
    assert "`./longhand models pull base` completes it" in answer.stderr


def test_check_does_not_mind_a_model_that_a_worker_will_fetch(site):
    answer = longhand("check", **{**site, "LONGHAND_DEFAULT_MODEL": "base"})

    assert (answer.returncode, answer.stderr) == (0, "")
    assert "a worker fetches it before it takes jobs" in answer.stdout


def test_check_says_which_part_of_a_site_cannot_be_reached(storage_dir):
    occupied = storage_dir / "file"
    occupied.touch()

    answer = longhand(
        "check",
        LONGHAND_REDIS_URL="redis://:hidden@127.0.0.1:1/0",
        LONGHAND_STORAGE_DIR=str(occupied),
        LONGHAND_DEFAULT_MODEL="demo",
    )

    assert answer.returncode == 1
    redis, storage = answer.stderr.splitlines()
    assert redis.startswith("LONGHAND_REDIS_URL: Redis does not answer: ")
    assert "hidden" not in redis
    assert storage.startswith("LONGHAND_STORAGE_DIR: storage cannot be written: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such.wav"], "Error: there is no file no-such.wav\n"),
        (["--format", "pdf", "Makefile"], "Error: format 'pdf' is not known; it is one of "),
    ],
)
def test_demo_refuses_at_once_what_cannot_work(arguments, message):
    answer = longhand("demo", *arguments)

    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.startswith(message)
