"""Every error has a status and one shape, and no failure leaves anything behind."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, BinaryIO, NoReturn

import pytest
from flask import Flask
from flask.testing import FlaskClient
from gateway_errors import assert_error
from redis import exceptions as redis_errors
from work import newest, upload

from gateway.app import create_app
from gateway.errors import STATUSES
from gateway.services import Services
from shared.errors import Busy, LonghandError, StorageFull, TooManyRequests, error_classes
from shared.jobs import Jobs
from shared.storage.local import LocalStorage

StoredFiles = Callable[[], list[str]]


def test_every_error_has_a_status() -> None:
    assert set(STATUSES) == set(error_classes())
    assert all(400 <= status <= 599 for status in STATUSES.values())


def app_that_raises(services: Services, error: Exception) -> Flask:
    """The gateway with one more path, which fails."""
    app = create_app(services.settings, services=services)

    @app.get("/fail")
    def fail() -> NoReturn:
        raise error

    return app


@pytest.mark.parametrize("cls", list(error_classes()))
def test_every_error_has_its_status_and_code_on_the_wire(
    services: Services, cls: type[LonghandError]
) -> None:
    client = app_that_raises(services, cls("so it is", param="x", job_id="1")).test_client()

    response = client.get("/fail")

    assert response.status_code == STATUSES[cls]
    assert response.get_json() == {
        "success": False,
        "error": "so it is",
        "code": cls.code,
        "param": "x",
        "job_id": "1",
    }


@pytest.mark.parametrize(
    "error", [Busy("later", retry_after_s=7), TooManyRequests("no", retry_after_s=7)]
)
def test_when_to_try_again_is_said(services: Services, error: LonghandError) -> None:
    response = app_that_raises(services, error).test_client().get("/fail")

    assert response.headers["Retry-After"] == "7"


def test_a_bug_is_answered_without_its_details(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    response = app_that_raises(services, KeyError("secret")).test_client().get("/fail")

    assert_error(response, 500, "internal_error", "its log says what")
    assert "secret" not in response.get_data(as_text=True)
    assert "KeyError: 'secret'" in caplog.text


class NoRedisJobs(Jobs):
    """Jobs whose Redis goes away just before they are submitted."""

    def submit(self, *_args: object, **_options: object) -> NoReturn:
        raise redis_errors.ConnectionError("gone")


def test_a_job_that_cannot_be_queued_leaves_no_audio(
    services: Services, stored_files: StoredFiles, speech: bytes
) -> None:
    jobs = NoRedisJobs(services.redis, services.storage, lease_s=30, max_attempts=3)
    client = create_app(services.settings, services=replace(services, jobs=jobs)).test_client()

    response = upload(client, speech)

    assert_error(response, 503, "busy", "the queue cannot be reached")
    assert "Retry-After" in response.headers
    assert stored_files() == []


class LostAnswers(Jobs):
    """Jobs whose Redis makes a job, and is gone before it says so."""

    def submit(self, *args: Any, **options: Any) -> NoReturn:
        super().submit(*args, **options)
        raise redis_errors.ConnectionError("gone")


def losing_answers(services: Services) -> FlaskClient:
    """A client of a gateway that never hears that a job was made."""
    jobs = LostAnswers(services.redis, services.storage, lease_s=30, max_attempts=3)
    return create_app(services.settings, services=replace(services, jobs=jobs)).test_client()


def test_a_job_that_was_made_keeps_its_audio_though_the_answer_was_lost(
    services: Services, speech: bytes
) -> None:
    response = upload(losing_answers(services), speech)

    assert_error(response, 503, "busy", "the queue cannot be reached")
    job = newest(services)
    assert job is not None and services.storage.read(job.audio.key) == speech


def test_a_batch_whose_jobs_cannot_be_made_leaves_nothing(
    services: Services, stored_files: StoredFiles, speech: bytes
) -> None:
    response = losing_answers(services).post(
        "/transcribe/batch", data={"files[]": [(io.BytesIO(speech), name) for name in "ab"]}
    )

    assert_error(response, 503, "busy", "the queue cannot be reached")
    assert stored_files() == []
    assert newest(services) is None


class FullStorage(LocalStorage):
    """A disk that is full as soon as something was written."""

    @contextmanager
    def create(self, key: str) -> Iterator[BinaryIO]:
        """Take what is written, and fail to keep it."""
        with super().create(key) as out:
            yield out
            raise StorageFull("storage is full; free space")


def test_a_full_disk_is_said_and_nothing_is_left_on_it(
    services: Services, stored_files: StoredFiles, speech: bytes
) -> None:
    full = replace(services, storage=FullStorage(services.settings.storage_dir))

    response = upload(create_app(services.settings, services=full).test_client(), speech)

    assert_error(response, 507, "storage_full", "free space")
    assert stored_files() == []
