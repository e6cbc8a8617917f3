"""The file of keys: what is in it, what is not, and what happens when it changes or breaks."""

from __future__ import annotations

import json
import os
import resource
import threading
from pathlib import Path

import pytest
from waiting import wait_until

from gateway.access.keys import ApiKeys, KeyFileError, add_key, hash_key, read_keys, revoke_key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the keys are; nothing is there yet."""
    return tmp_path / "some" / "keys.json"


def test_the_file_holds_what_a_key_may_and_never_the_key(path: Path) -> None:
    key = add_key(path, "ann", role="admin", rate="60/minute")

    entry = json.loads(path.read_text())["keys"][0]

    assert key.startswith("lh_") and len(key) == 46
    assert key.removeprefix("lh_") not in path.read_text()
    assert entry.pop("created_at").endswith("Z")
    assert entry == {
        "name": "ann",
        "role": "admin",
        "rate": "60/minute",
        "sha256": hash_key(key),
    }


def test_only_its_owner_reads_the_file(path: Path) -> None:
    add_key(path, "ann")
    add_key(path, "bob")

    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}

    assert modes == {"keys.json": 0o600, ".keys.json.lock": 0o600}


def test_the_files_permissions_stay_when_it_changes(path: Path) -> None:
    add_key(path, "ann")
    path.chmod(0o640)
    add_key(path, "bob")

    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to others")
def test_the_file_stays_its_owners_when_root_changes_it(path: Path) -> None:
    """A gateway that runs as somebody else would find a file that it may not read."""
    add_key(path, "ann")
    os.chown(path, 12345, 12346)
    revoke_key(path, "ann")

    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


def test_what_somebody_noted_in_the_file_stays(path: Path) -> None:
    add_key(path, "ann")
    noted = json.loads(path.read_text()) | {"comment": "whom to ask: 李"}
    noted["keys"][0]["note"] = "her laptop"
    path.write_text(json.dumps(noted))
    add_key(path, "bob")
    revoke_key(path, "bob")

    assert json.loads(path.read_text()) == noted


def test_a_key_counts_once_it_is_made_and_until_it_is_revoked(path: Path) -> None:
    keys = ApiKeys(path)
    assert keys.find("lh_any") is None

    key = add_key(path, "ann")
    found = wait_until(lambda: keys.find(key), 20, "the new key")
    revoke_key(path, "ann")

    assert (found.name, found.role, found.rate) == ("ann", "user", None)
    wait_until(lambda: keys.find(key) is None, 20, "the key revoked")


@pytest.mark.parametrize(
    "text", ["{", '{"keys": [{}]}', "[]", '{"keys": [{"name": "x", "sha256": "1"}]}', "\xff"]
)
def test_a_broken_file_leaves_the_keys_last_read_in_force(
    path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    key = add_key(path, "ann")
    keys = ApiKeys(path)
    assert keys.find(key)

    path.write_bytes(text.encode("latin-1"))
    wait_until(lambda: keys.find(key) and "stay in force" in caplog.text, 20, "it was noticed")

    assert keys.find(key)
    assert "the 1 keys last read stay in force" in caplog.text
    with pytest.raises(KeyFileError):
        add_key(path, "bob")
    assert path.read_bytes() == text.encode("latin-1")


def test_a_file_that_could_not_be_read_once_is_read_again(path: Path) -> None:
    key = add_key(path, "ann")
    keys = ApiKeys(path)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # No file can be opened then, and yet it can be seen that this one has not changed.
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        before = keys.find(key)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert before is None
    wait_until(lambda: keys.find(key), 20, "the key")


def test_a_file_that_is_taken_away_leaves_no_key(path: Path) -> None:
    key = add_key(path, "ann")
    keys = ApiKeys(path)
    assert keys.find(key)

    path.unlink()

    wait_until(lambda: keys.find(key) is None, 20, "no key")


def test_two_at_once_lose_no_key(path: Path) -> None:
    threads = [threading.Thread(target=add_key, args=(path, f"user{n}")) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert {key.name for key in read_keys(path)} == {f"user{n}" for n in range(20)}


@pytest.mark.parametrize(
    ("name", "rate", "said"),
    [
        ("", None, "use 1 to 64 of"),
        ("a b", None, "use 1 to 64 of"),
        ("ann\n", None, "use 1 to 64 of"),
        ("李", None, "use 1 to 64 of"),
        ("bob", "often", "'often' is no rate"),
        ("bob", "0/minute", "'0/minute' is no rate"),
        ("ann", None, "ann has a key"),
    ],
)
def test_what_cannot_be_a_key_is_said(path: Path, name: str, rate: str | None, said: str) -> None:
    add_key(path, "ann")

    with pytest.raises(KeyFileError, match=said):
        add_key(path, name, rate=rate)

    assert [key.name for key in read_keys(path)] == ["ann"]


def test_only_a_key_that_is_there_can_be_revoked(path: Path) -> None:
    with pytest.raises(KeyFileError, match="nobody named 'ann' has a key"):
        revoke_key(path, "ann")
