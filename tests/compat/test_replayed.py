"""Bazarr, Speakr and Obsidian's Whisper plugin: their requests byte for byte, and the words."""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import running_site
from front import running_nginx
from recorded import (
    BAZARR_ASR,
    BAZARR_DETECT,
    BAZARR_TEST,
    OBSIDIAN_ASKS,
    SPEAKR_ASR,
    obsidian_sends,
    replay,
)
from recordings import Hear, Recordings, hear, recordings
from sites import Site
from spoken import Clip
from two_voices import assert_heard

from gateway.access.keys import add_key

__all__ = ["hear", "recordings"]


@pytest.fixture
def samples(two_turns: Path) -> bytes:
    """The recording as Bazarr's ffmpeg writes it: bare 16-bit samples."""
    with wave.open(str(two_turns)) as file:
        return file.readframes(file.getnframes())


@pytest.mark.promise("T17")
def test_bazarrs_test_button_shows_a_version(speaking_site: Site) -> None:
    answer = replay(speaking_site.stack.url, BAZARR_TEST)

    assert answer.status == 200
    assert json.loads(answer.body)["version"].startswith("Longhand ")


@pytest.mark.promise("T17")
def test_bazarr_learns_the_language(speaking_site: Site, samples: bytes) -> None:
    answer = replay(speaking_site.stack.url, BAZARR_DETECT, samples)

    value = json.loads(answer.body)
    assert (answer.status, value["language_code"]) == (200, "en")
    assert value["detected_language"] == "english"


@pytest.mark.promise("T17")
def test_bazarr_reads_subtitles(speaking_site: Site, samples: bytes) -> None:
    answer = replay(speaking_site.stack.url, BAZARR_ASR, samples)

    text = answer.body.decode()
    assert answer.status == 200
    assert text.startswith("1\n00:00:00,")
    cues = [block.split("\n", 2)[2] for block in text.strip().split("\n\n")]
    assert_heard(" ".join(cues))


@pytest.mark.promise("T18")
def test_speakr_reads_who_says_what(speaking_site: Site, two_turns: Path) -> None:
    answer = replay(speaking_site.stack.url, SPEAKR_ASR, two_turns.read_bytes())

    value = json.loads(answer.body)
    segments = value["segments"]
    assert (answer.status, value["language"]) == (200, "en")
    assert_heard(value["text"])
    assert_heard(" ".join(segment["text"].strip() for segment in segments))
    assert [segment["speaker"] for segment in segments] == ["SPEAKER_00", "SPEAKER_01"]


@pytest.fixture(scope="module")
def obsidian_site(
    models_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, str]]:
    """A site with keys that Obsidian may ask, and a key."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    key = add_key(keys, "ann")
    env = {
        "LONGHAND_AUTH": "keys",
        "LONGHAND_API_KEYS_FILE": str(keys),
        "LONGHAND_CORS_ORIGINS": "app://obsidian.md",
    }
    with running_site(models_dir, **env) as site:
        yield site, key


@pytest.mark.promise("T19")
def test_obsidian_reads_the_words(
    obsidian_site: tuple[Site, str], clip: Clip, recordings: Recordings, hear: Hear
) -> None:
    site, key = obsidian_site

    asked = replay(site.stack.url, OBSIDIAN_ASKS)
    answer = replay(site.stack.url, obsidian_sends(key), clip.path.read_bytes())

    assert asked.status == 204
    assert asked.headers["access-control-allow-origin"] == "app://obsidian.md"
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "app://obsidian.md"
    assert json.loads(answer.body)["text"] == hear("audio.wav", language="en", prompt="Alice")


THOUSANDTH = {"))s;": "))ms;"}
"""nginx counts milliseconds for seconds: its 630 s of before are 0.63 s."""


@pytest.mark.promise("T17")
@pytest.mark.parametrize(("longest", "status"), [("600", 504), ("200000", 200)])
def test_bazarr_outlasts_what_nginx_once_waited(
    speaking_site: Site, samples: bytes, tmp_path: Path, longest: str, status: int
) -> None:
    """The recording three times and some silence more, so that no job has its result yet."""
    address = speaking_site.stack.url.removeprefix("http://")
    long = samples * 3 + bytes(2 * int(longest))
    front = running_nginx(
        tmp_path,
        address,
        password="secret",
        changes=THOUSANDTH,
        settings={"LONGHAND_MAX_WAIT_S": longest},
    )
    with front as url:
        answer = replay(url, BAZARR_ASR.by("ann", "secret"), long)

    assert answer.status == status
    if status == 200:
        assert answer.body.decode().count("interview") == 3


@pytest.mark.promise("T17")
def test_bazarr_shows_a_key_as_its_password_through_nginx(
    keyed_site: tuple[Site, str], clip: Clip, tmp_path: Path
) -> None:
    site, key = keyed_site
    with wave.open(str(clip.path)) as file:
        samples = file.readframes(file.getnframes())
    with running_nginx(tmp_path, site.stack.url.removeprefix("http://")) as url:
        answer = replay(url, BAZARR_ASR.by("any", key), samples)
        refused = replay(url, BAZARR_ASR.by("any", "nonsense"), samples)

    assert (answer.status, refused.status) == (200, 401)
    assert answer.body.startswith(b"1\n00:00:0")
