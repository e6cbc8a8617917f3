"""Which `callback_url` is taken, and who may read what became of it."""

from __future__ import annotations

import pytest
from work import upload

from gateway.settings import GatewaySettings
from shared.records import new_job_id

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def settings(redis_url, storage_dir):
    return GatewaySettings(redis_url=redis_url, storage_dir=storage_dir, webhook_secret=SECRET)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://files.example/", "http:// or https://"),
        ("receiver.example/ended", "http:// or https://"),
        ("https://user:secret@receiver.example/", "user name or a password"),
        ("http://10.0.0.1/", "not public"),
        ("http://[::1]/", "not public"),
        ("http://2130706433/", "unusual spelling"),
    ],
)
def test_a_url_that_cannot_be_called_is_refused_with_the_request(
    client, services, speech, stored_files, url, reason
):
    answer = upload(client, speech, callback_url=url)

    assert (answer.status_code, answer.json["param"]) == (400, "callback_url")
    assert reason in answer.json["error"]
    assert stored_files() == []


def test_a_site_without_a_key_says_that_it_sends_nothing(make_client, speech, stored_files):
    client = make_client(webhook_secret=None)
    answer = upload(client, speech, callback_url="https://receiver.example/")

    assert (answer.status_code, answer.json["param"]) == (400, "callback_url")
    assert "LONGHAND_WEBHOOK_SECRET" in answer.json["error"]
    assert stored_files() == []


@pytest.mark.parametrize("secret", ["hello", "whsec_", "whsec_c2hvcnQ=", "whsec_@@@", SECRET[6:]])
def test_a_key_that_is_none_is_refused_at_the_start(secret):
    with pytest.raises(ValueError, match="whsec_"):
        GatewaySettings(webhook_secret=secret)


def test_another_owners_deliveries_are_not_found(make_client, speech):
    client = make_client(trusted_proxies="127.0.0.1")
    ann, bob = ({"X-Remote-User": name} for name in ("ann", "bob"))
    job_id = upload(client, speech, headers=ann).json["job_id"]

    assert client.get(f"/jobs/{job_id}/deliveries", headers=ann).json == {
        "success": True, "job_id": job_id, "next_at": None, "deliveries": [],
    }  # fmt: skip
    for path in (job_id, new_job_id(), "x"):
        assert client.get(f"/jobs/{path}/deliveries", headers=bob).status_code == 404
