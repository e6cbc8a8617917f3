"""`longhand models` as an operator types it, against a hub and a Redis of the test's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hub import COMMIT, Hub
from redis import Redis
from waiting import wait_until

from shared.generations import Generations
from shared.settings import CHECKOUT

Longhand = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path, hub: Hub) -> dict[str, str]:
    """A site with a models directory of its own, whose downloads come from our hub."""
    return {
        **os.environ,
        **hub.environment(tmp_path / "cache"),
        "LONGHAND_MODELS_DIR": str(tmp_path / "models"),
        "LONGHAND_DOWNLOADS": "false",  # what workers may do; a command is asked for by hand
    }


@pytest.fixture
def hub(demo_model: Path) -> Iterator[Hub]:
    """A hub whose `tiny` is the demo model."""
    with Hub.of(demo_model) as hub:
        yield hub


@pytest.fixture
def longhand(environment: dict[str, str]) -> Longhand:
    """A function that runs `longhand models …`."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli", "models", *arguments],
            cwd=CHECKOUT,
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def found_in(directory: Path) -> list[str]:
    """What lies there but the locks of those who downloaded."""
    return sorted(path.name for path in directory.glob("*") if path.suffix != ".lock")


def test_the_list_has_the_model_that_ships(longhand, demo_model):
    table = longhand().stdout.splitlines()
    [listed] = json.loads(longhand("--json").stdout)

    assert table[0].split() == ["name", "size", "state", "revision", "engines", "where"]
    assert table[1].startswith("demo  26.57 MB  complete  657804577a66  faster_whisper, ")
    assert len(table) == 2
    assert listed["bytes"] == 26_573_011
    assert (listed["name"], listed["where"]) == ("demo", str(demo_model))
    assert (listed["state"], listed["revision"]) == ("complete", "657804577a66")


def test_a_model_is_pulled_by_any_of_its_names_verified_and_removed(longhand, tmp_path, hub):
    pulled = longhand("pull", "Systran/faster-whisper-tiny")

    assert (pulled.returncode, found_in(tmp_path / "models")) == (0, ["tiny"]), pulled.stderr
    assert pulled.stdout.splitlines()[1].startswith(f"tiny  22.12 MB  complete  {COMMIT[:12]}  ")
    assert "pulling tiny" in pulled.stderr
    for name, content in hub.truth.items():
        if name not in ("README.md", "longhand.json"):
            assert (tmp_path / "models" / "tiny" / name).read_bytes() == content
    verified = longhand("verify", "tiny")
    assert (verified.returncode, verified.stdout) == (0, "tiny: ok\n")
    removed = longhand("rm", "tiny")
    assert (removed.returncode, removed.stdout) == (0, "tiny is deleted\n")
    assert found_in(tmp_path / "models") == []


def test_a_pull_that_was_spoilt_ends_with_a_sentence_and_leaves_nothing(longhand, tmp_path, hub):
    hub.files["model.bin"] = hub.files["model.bin"][:-1] + b"?"

    pulled = longhand("pull", "tiny")

    assert (pulled.returncode, pulled.stdout) == (1, "")
    assert pulled.stderr.splitlines()[-1].startswith(
        "Error: model 'tiny' could not be downloaded (model.bin does not have the hash the hub "
    )
    assert found_in(tmp_path / "models") == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_pull_that_is_interrupted_leaves_nothing(environment, tmp_path, hub, number, status):
    hub.holds_back = True
    pulling = subprocess.Popen(
        [sys.executable, "-m", "cli", "models", "pull", "tiny"],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(hub.is_halfway.is_set, 60, "half of the weights are sent")
        assert found_in(tmp_path / "models") == [".tiny.part"]
        pulling.send_signal(number)
        out, _ = pulling.communicate(timeout=30)
    finally:
        pulling.kill()
        pulling.wait()

    assert (pulling.returncode, out) == (status, "")
    assert found_in(tmp_path / "models") == []


def test_a_pull_says_how_far_it_is(environment, hub):
    hub.holds_back = True
    pulling = subprocess.Popen(
        [sys.executable, "-m", "cli", "models", "pull", "tiny"],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert pulling.stderr is not None
    try:
        lines = iter(pulling.stderr.readline, "")
        told = next((line for line in lines if " %" in line), "")
    finally:
        pulling.kill()
        pulling.communicate()

    assert told.startswith("pulling tiny, 22.12 MB: ")


def test_verify_tells_what_is_damaged_and_what_nobody_vouches_for(longhand, tmp_path):
    longhand("pull", "tiny")
    weights = tmp_path / "models" / "tiny" / "model.bin"
    by_hand = tmp_path / "models" / "base"
    by_hand.mkdir()
    (by_hand / "model.bin").write_bytes(b"weights")

    unverified = longhand("verify")
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    damaged = longhand("verify", "--json")

    assert unverified.returncode == 3
    assert unverified.stdout.startswith(
        "demo: ok\ntiny: ok\nbase: unverified\n  model.bin was put "
    )
    assert damaged.returncode == 1
    assert {found["name"]: found["state"] for found in json.loads(damaged.stdout)} == {
        "demo": "ok",
        "tiny": "damaged",
        "base": "unverified",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pull", "gpt"], "Error: model 'gpt' is not in the catalogue; it holds demo, tiny, "),
        (["rm", "../models"], "Error: model '../models' is not in the catalogue"),
        (["rm", "tiny"], "Error: there is no model 'tiny' in "),
        (["verify", "large-v3"], "Error: model 'large-v3' is not here"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(longhand, arguments, message):
    answer = longhand(*arguments)

    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith(message)
    assert answer.stderr.count("\n") == 1


def test_the_model_that_ships_is_not_removed(longhand, demo_model):
    answer = longhand("rm", "demo", LONGHAND_MODELS_DIR=str(demo_model.parent))

    assert answer.returncode == 1
    assert answer.stderr == "Error: model 'demo' ships with Longhand and stays\n"
    assert (demo_model / "model.bin").is_file()


def test_a_reload_is_a_new_generation_in_the_sites_redis(longhand, redis_url):
    answer = longhand("reload", LONGHAND_REDIS_URL=redis_url)

    with Redis.from_url(redis_url) as redis:
        assert answer.stdout.startswith(f"generation {Generations(redis).current()}: ")
    assert answer.returncode == 0


def test_a_reload_without_redis_fails_and_says_so(longhand):
    answer = longhand("reload", LONGHAND_REDIS_URL="redis://:hidden@127.0.0.1:1/0")

    assert answer.returncode == 1
    assert answer.stderr.startswith("Error: LONGHAND_REDIS_URL: Redis does not answer: ")
    assert "hidden" not in answer.stderr


def test_a_wrong_setting_is_named(longhand):
    answer = longhand(LONGHAND_PRELOAD="small,gpt")

    assert answer.returncode == 1
    assert answer.stderr == "Error: LONGHAND_PRELOAD names 'gpt', which is no model we know\n"
