"""Tracks, channels and clocks of what is sent: checked before there is a job."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from media import Piece, Sound, sound_of, write_media
from work import newest, upload

from gateway.services import Services


def tone(length_s: float, n_channels: int = 1) -> np.ndarray:
    time = np.arange(round(length_s * 16_000)) / 16_000
    return np.tile(0.2 * np.sin(time * 2764), (n_channels, 1)).astype(np.float32)


@pytest.fixture
def two_tracks(tmp_path: Path) -> bytes:
    """One of two seconds, and one of four which is marked default."""
    sounds = [
        sound_of(tone(2), codec="libopus", is_default=False),
        sound_of(tone(4), codec="libopus", is_default=True),
    ]
    return write_media(tmp_path / "two.mkv", sounds).read_bytes()


def microphones(path: Path, n_channels: int) -> bytes:
    """A recording of so many channels, one second long."""
    with io.BytesIO() as out:
        import wave

        with wave.open(out, "wb") as file:
            file.setnchannels(n_channels)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes((tone(1, n_channels).T * 32767).astype("<i2").tobytes())
        return out.getvalue()


def duration_s(services: Services) -> float:
    record = newest(services)
    assert record is not None
    return record.audio.duration_s


@pytest.mark.parametrize(("fields", "length_s"), [({}, 4), ({"audio_track": "1"}, 2)])
def test_a_job_is_as_long_as_the_track_that_is_meant(
    client: FlaskClient,
    services: Services,
    two_tracks: bytes,
    fields: dict[str, str],
    length_s: float,
) -> None:
    assert upload(client, two_tracks, **fields).status_code == 202
    assert duration_s(services) == pytest.approx(length_s, abs=0.1)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("3", "audio_track is 3; the recording has 2 audio tracks"),
        ("0", "audio_track is 0; it must be at least 1"),
        ("first", "audio_track is 'first'; it must be a whole number"),
    ],
)
def test_a_track_that_is_not_there_is_refused_and_nothing_kept(
    client: FlaskClient,
    two_tracks: bytes,
    stored_files: Callable[[], list[str]],
    number: str,
    message: str,
) -> None:
    response = upload(client, two_tracks, audio_track=number)

    assert_error(response, 400, "invalid_request", message, param="audio_track")
    assert stored_files() == []


def test_a_track_of_an_unknown_codec_is_refused(client: FlaskClient, tmp_path: Path) -> None:
    sounds = [sound_of(tone(1), codec="libmp3lame"), sound_of(tone(2), codec="libopus")]
    path = write_media(tmp_path / "a.mkv", sounds)
    film = path.read_bytes().replace(b"A_MPEG/L3", b"A_XPEG/L3")

    assert upload(client, film).status_code == 202
    message = "audio track 1 is of a codec that is not known here"
    assert_error(upload(client, film, audio_track="1"), 422, "audio_unreadable", message)


def test_a_recording_of_one_track_says_so(client: FlaskClient, speech: bytes) -> None:
    response = upload(client, speech, audio_track="2")

    message = "audio_track is 2; the recording has 1 audio track"
    assert_error(response, 400, "invalid_request", message, param="audio_track")


def test_channels_and_diarization_at_once_are_refused(client: FlaskClient, speech: bytes) -> None:
    response = upload(client, speech, multichannel="true", diarize="true")

    assert_error(response, 400, "invalid_request", "multichannel=true makes each channel a speaker")


def test_more_channels_than_may_be_are_refused_and_mixed_without(
    client: FlaskClient, tmp_path: Path, stored_files: Callable[[], list[str]]
) -> None:
    nine = microphones(tmp_path / "nine.wav", 9)
    response = upload(client, nine, multichannel="true")

    message = "the recording has 9 channels; multichannel=true takes 8 at most"
    assert_error(response, 400, "invalid_request", message, param="multichannel")
    assert stored_files() == []
    assert upload(client, nine).status_code == 202
    assert upload(client, microphones(tmp_path / "8.wav", 8), multichannel="1").status_code == 202


def test_one_recording_of_a_batch_that_cannot_be_is_named(
    client: FlaskClient, two_tracks: bytes, speech: bytes, stored_files: Callable[[], list[str]]
) -> None:
    files = [(io.BytesIO(two_tracks), "film.mkv"), (io.BytesIO(speech), "talk.wav")]
    response = client.post("/transcribe/batch", data={"files[]": files, "audio_track": "2"})

    message = "'talk.wav': audio_track is 2; the recording has 1 audio track"
    assert_error(response, 400, "invalid_request", message, param="audio_track")
    assert stored_files() == []


def test_the_limit_counts_the_silence_before_the_sound(
    make_client: Callable[..., FlaskClient], tmp_path: Path
) -> None:
    late = write_media(tmp_path / "late.mkv", [sound_of(tone(3), 9.0, codec="flac")], pictures_s=2)
    film = late.read_bytes()

    assert_error(upload(make_client(max_audio_s=11), film), 413, "audio_too_large", "12 s long")
    assert upload(make_client(max_audio_s=13), film).status_code == 202


def test_a_clock_that_leaps_too_far_is_not_counted(
    make_client: Callable[..., FlaskClient], services: Services, tmp_path: Path
) -> None:
    broken = Sound((Piece(tone(2)), Piece(tone(2), 200_000.0)), "flac")
    film = write_media(tmp_path / "broken.mkv", [broken]).read_bytes()

    assert upload(make_client(max_audio_s=10), film).status_code == 202
    assert duration_s(services) == pytest.approx(4, abs=0.1)


def test_the_same_audio_by_channels_is_another_run(
    client: FlaskClient, services: Services, speech: bytes
) -> None:
    records = []
    for fields in ({}, {"multichannel": "true"}, {"audio_track": "1"}, {}):
        upload(client, speech, **fields)
        records.append(newest(services))

    runs = [record.run_id for record in records if record]
    assert len(set(runs)) == 3 and runs[0] == runs[3]
