"""Every storage: an object is there whole, or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from shared.errors import StorageFull
from shared.storage import KeyNotFound, open_storage


@pytest.fixture(params=["local"])
def storage(request, tmp_path):
    """One storage of each kind; a new kind is one more parameter."""
    return open_storage(tmp_path / "storage")


def store(storage, key, content=b"bytes"):
    with storage.create(key) as out:
        out.write(content)


def files_below(directory):
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file())


def test_what_was_stored_is_read(storage):
    store(storage, "jobs/1/audio", b"\x00\xff" * 1000)

    assert storage.read("jobs/1/audio") == b"\x00\xff" * 1000
    with storage.open_local("jobs/1/audio") as path:
        assert path.read_bytes() == b"\x00\xff" * 1000


def test_storing_again_replaces_the_whole_object(storage):
    store(storage, "jobs/1/record.json", b"a long first version")
    store(storage, "jobs/1/record.json", b"short")

    assert storage.read("jobs/1/record.json") == b"short"


def test_an_object_is_not_there_before_its_block_ends(storage):
    with storage.create("jobs/1/audio") as out:
        out.write(b"half")
        out.flush()
        with pytest.raises(KeyNotFound):
            storage.read("jobs/1/audio")

    assert storage.read("jobs/1/audio") == b"half"


def test_a_block_that_fails_stores_nothing(storage, tmp_path):
    with pytest.raises(ZeroDivisionError), storage.create("jobs/1/audio") as out:
        out.write(b"half")
        raise ZeroDivisionError

    assert files_below(tmp_path) == []


def test_a_failed_replacement_leaves_the_old_object(storage):
    store(storage, "jobs/1/audio", b"old")
    with pytest.raises(ZeroDivisionError), storage.create("jobs/1/audio") as out:
        out.write(b"new")
        raise ZeroDivisionError

    assert storage.read("jobs/1/audio") == b"old"


def test_a_writer_that_is_killed_stores_nothing(storage, tmp_path):
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from shared.storage import open_storage\n"
        "with open_storage(Path(sys.argv[1])).create('jobs/1/audio') as out:\n"
        "    out.write(b'half' * 100_000)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "storage")])

    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(KeyNotFound):
        storage.read("jobs/1/audio")


def test_what_a_killed_writer_left_is_removed_a_day_later(tmp_path):
    directory = tmp_path / "storage"
    open_storage(directory)
    fresh, stale = (directory / ".incoming" / name for name in ("fresh", "stale"))
    for part in (fresh, stale):
        part.write_bytes(b"half")
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(stale, (two_days_ago, two_days_ago))
    open_storage(directory)

    assert files_below(directory) == [".incoming/fresh"]


def test_a_read_only_storage_makes_and_removes_nothing(tmp_path):
    directory = tmp_path / "storage"
    reader = open_storage(directory, read_only=True)
    with pytest.raises(KeyNotFound):
        reader.read("jobs/1/audio")
    assert not directory.exists()

    store(open_storage(directory), "jobs/1/audio", b"speech")
    stale = directory / ".incoming" / "stale"
    stale.write_bytes(b"half")
    os.utime(stale, (0, 0))

    assert open_storage(directory, read_only=True).read("jobs/1/audio") == b"speech"
    assert stale.exists()


def test_bytes_reach_the_disk_before_their_name_does(storage):
    calls = []

    def note(_frame, event, function):
        if event == "c_call" and function.__name__ in ("fsync", "replace"):
            calls.append(function.__name__)

    sys.setprofile(note)
    try:
        store(storage, "jobs/1/audio")
    finally:
        sys.setprofile(None)

    assert calls == ["fsync", "replace", "fsync"]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../outside",
        "jobs/../../outside",
        "jobs/..",
        "jobs//audio",
        "jobs/",
        ".incoming/part",
        "jobs/会议.mp3",
        "jobs/a b",
        "jobs/a\0b",
        "jobs/a\n",
        "Jobs/1",
    ],
)
def test_a_key_that_is_not_ours_is_refused(storage, tmp_path, key):
    with pytest.raises(ValueError, match="is not a storage key"), storage.create(key):
        pass
    with pytest.raises(ValueError, match="is not a storage key"):
        storage.read(key)
    with pytest.raises(ValueError, match="is not a storage key"):
        storage.delete_all(key)

    assert files_below(tmp_path) == []


def test_what_is_not_there_is_not_found(storage):
    with pytest.raises(KeyNotFound):
        storage.read("jobs/1/audio")
    with pytest.raises(KeyNotFound), storage.open_local("jobs/1/audio"):
        pass


def test_deleting_takes_everything_below_and_nothing_beside(storage):
    store(storage, "jobs/1/audio")
    store(storage, "jobs/1/2/result.json")
    store(storage, "jobs/10/audio")
    storage.delete_all("jobs/1")

    with pytest.raises(KeyNotFound):
        storage.read("jobs/1/2/result.json")
    assert storage.read("jobs/10/audio") == b"bytes"


def test_deleting_nothing_is_no_error(storage):
    storage.delete_all("jobs/1")


def test_deleting_one_object_leaves_those_beside_and_what_is_linked(storage):
    store(storage, "jobs/1/audio")
    store(storage, "jobs/1/audio2")
    storage.link("jobs/1/audio", "jobs/2/audio")
    storage.delete("jobs/1/audio")
    storage.delete("jobs/1/audio")

    assert sorted(storage.keys("jobs")) == ["jobs/1/audio2", "jobs/2/audio"]
    assert storage.read("jobs/2/audio") == b"bytes"


def test_keys_are_those_below_a_prefix(storage):
    for key in ("jobs/1/audio", "jobs/1/2/result.json", "jobs/10/audio", "uploads/1/0-a/part"):
        store(storage, key)

    assert sorted(storage.keys("jobs/1")) == ["jobs/1/2/result.json", "jobs/1/audio"]
    assert sorted(storage.keys("jobs")) == ["jobs/1/2/result.json", "jobs/1/audio", "jobs/10/audio"]
    assert list(storage.keys("nothing")) == []


def test_a_key_is_not_there_before_its_object_is(storage):
    with storage.create("jobs/1/audio") as out:
        out.write(b"half")
        assert list(storage.keys("jobs")) == []


def test_when_an_object_was_written_is_known(storage):
    before = time.time()
    store(storage, "jobs/1/audio")

    assert before - 5 < storage.written_at("jobs/1/audio") < time.time() + 5
    with pytest.raises(KeyNotFound):
        storage.written_at("jobs/2/audio")


def test_a_check_leaves_nothing_behind(storage, tmp_path):
    storage.check()

    assert files_below(tmp_path) == []


def test_a_write_that_finds_no_room_is_storage_full(storage, tmp_path):
    with pytest.raises(StorageFull, match="LONGHAND_STORAGE_DIR"), storage.create("jobs/1/audio"):
        descriptor = os.open("/dev/full", os.O_WRONLY)
        try:
            os.write(descriptor, b"x")
        finally:
            os.close(descriptor)

    assert files_below(tmp_path) == []


def test_bytes_under_two_keys_stay_until_the_last_is_deleted(storage, tmp_path):
    store(storage, "jobs/1/audio", b"speech")
    store(storage, "jobs/2/audio", b"speech")
    storage.link("jobs/1/audio", "jobs/2/audio")
    storage.link("jobs/1/audio", "jobs/2/audio")
    storage.delete_all("jobs/1")

    assert storage.read("jobs/2/audio") == b"speech"
    assert files_below(tmp_path / "storage") == ["jobs/2/audio"]


def test_nothing_is_linked_to_what_is_not_there(storage):
    with pytest.raises(KeyNotFound):
        storage.link("jobs/1/audio", "jobs/2/audio")
    with pytest.raises(KeyNotFound):
        storage.read("jobs/2/audio")


def test_writing_one_of_two_linked_keys_anew_leaves_the_other(storage):
    store(storage, "jobs/1/audio", b"speech")
    storage.link("jobs/1/audio", "jobs/2/audio")
    store(storage, "jobs/1/audio", b"music")

    assert storage.read("jobs/2/audio") == b"speech"
