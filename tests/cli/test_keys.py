"""`longhand keys`: keys are given out once, listed without their secrets, and revoked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.access.keys import ApiKeys
from shared.settings import CHECKOUT


@pytest.fixture
def keys(tmp_path):
    """A function that runs `longhand keys`; its settings may be changed."""

    def run(*arguments, **settings):
        chosen = {"LONGHAND_API_KEYS_FILE": str(tmp_path / "keys.json"), **settings}
        return subprocess.run(
            [sys.executable, "-m", "cli", "keys", *arguments],
            cwd=CHECKOUT,
            env={"PATH": os.environ["PATH"]} | chosen,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def test_a_key_is_printed_alone_and_once(keys, tmp_path: Path):
    added = keys("add", "ann", "--role", "admin", "--rate", "60/minute", LONGHAND_AUTH="keys")
    key = added.stdout.strip()
    listed = keys("list")

    found = ApiKeys(tmp_path / "keys.json").find(key)
    assert (found.name, found.role, found.rate) == ("ann", "admin", "60/minute")
    assert added.stdout == f"{key}\n"
    assert added.stderr == "ann's key is kept nowhere else: note it now\n"
    assert listed.stdout.split()[:7] == ["name", "role", "rate", "created", "ann", "admin",
                                         "60/minute"]  # fmt: skip
    assert key not in listed.stdout + listed.stderr


def test_that_keys_are_off_is_said(keys):
    assert "LONGHAND_AUTH is off" in keys("add", "ann").stderr


def test_a_revoked_key_is_gone(keys):
    keys("add", "ann")
    keys("add", "bob")
    revoked = keys("revoke", "ann")

    left = json.loads(keys("list", "--json").stdout)
    assert (revoked.returncode, revoked.stdout) == (0, "ann's key is no longer valid\n")
    assert [entry["name"] for entry in left] == ["bob"]
    assert set(left[0]) == {"name", "role", "rate", "created_at"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "ann"], "ann has a key; revoke it first"),
        (["add", "a b"], "use 1 to 64 of"),
        (["add", "bob", "--rate", "often"], "'often' is no rate"),
        (["revoke", "bob"], "nobody named 'bob' has a key"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(keys, arguments, said):
    keys("add", "ann")
    ended = keys(*arguments)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_file_that_is_none_of_keys_is_left_alone(keys, tmp_path: Path):
    path = tmp_path / "keys.json"
    path.write_text("mine")
    ended = keys("add", "ann")

    assert ended.returncode == 1
    assert "is no file of keys" in ended.stderr
    assert path.read_text() == "mine"


def test_a_place_where_no_file_of_keys_can_be_is_named_by_its_setting(keys, tmp_path: Path):
    ended = keys("list", LONGHAND_API_KEYS_FILE=str(tmp_path))

    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: LONGHAND_API_KEYS_FILE: ")


def test_a_wrong_setting_is_named(keys):
    ended = keys("list", LONGHAND_RATE_LIMIT="often")

    assert ended.returncode == 1
    assert "LONGHAND_RATE_LIMIT" in ended.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "every caller is refused. `./longhand keys add NAME`"), ("mine", "is no file of keys")],
)
def test_check_says_when_nobody_could_get_in(redis_url, storage_dir, tmp_path: Path, text, said):
    path = tmp_path / "keys.json"
    if text is not None:
        path.write_text(text)
    ended = subprocess.run(
        [sys.executable, "-m", "cli", "check"],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"]}
        | {"LONGHAND_REDIS_URL": redis_url, "LONGHAND_STORAGE_DIR": str(storage_dir)}
        | {"LONGHAND_AUTH": "keys", "LONGHAND_API_KEYS_FILE": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ended.returncode == 1
    assert said in ended.stderr
