"""Lists of a caller's jobs: which ones, and page by page."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient
from gateway_errors import assert_error
from work import fail, succeed, upload

from gateway.services import Services


@pytest.fixture
def job_ids(client: FlaskClient, services: Services, speech: bytes) -> list[str]:
    """Five jobs, the oldest first: one succeeded, one failed, the others wait."""
    ids = [
        upload(client, speech, f"{name}.wav", label=label, cache="false").get_json()["job_id"]
        for name, label in [
            ("alpha", "x"), ("beta", "y"), ("会议录音", "x"), ("delta", ""), ("Epsilon", "Weekly")
        ]
    ]  # fmt: skip
    succeed(services, ids[0])
    fail(services, ids[1], {"code": "engine_failed", "message": "no"})
    return ids


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"status": "succeeded"}, [0]),
        ({"status": "failed,succeeded"}, [1, 0]),
        ({"status": "cancelled"}, []),
        ({"label": "x"}, [2, 0]),
        ({"label": "x", "status": "queued"}, [2]),
        ({"search": "ALPHA"}, [0]),
        ({"search": "会议"}, [2]),
        ({"search": "week"}, [4]),
        ({"since": "2020-01-01T00:00:00Z"}, [4, 3, 2, 1, 0]),
        ({"since": "2999-01-01T00:00:00+08:00"}, []),
        ({"until": "2020-01-01T00:00:00Z"}, []),
    ],
)
def test_a_list_holds_just_what_was_asked_for(
    client: FlaskClient, job_ids: list[str], query: dict[str, str], expected: list[int]
) -> None:
    value = client.get("/jobs", query_string=query).get_json()

    assert [job["job_id"] for job in value["jobs"]] == [job_ids[n] for n in expected]
    assert value["next_cursor"] is None


def test_pages_follow_each_other_without_gap_or_repetition(
    client: FlaskClient, job_ids: list[str]
) -> None:
    seen, cursor, n_pages = [], None, 0
    while n_pages == 0 or cursor:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        value = client.get("/jobs", query_string=query).get_json()
        seen += [job["job_id"] for job in value["jobs"]]
        cursor, n_pages = value["next_cursor"], n_pages + 1

    assert (seen, n_pages) == (job_ids[::-1], 3)


@pytest.mark.parametrize(
    ("query", "message", "param"),
    [
        ({"status": "done"}, "status is 'done'; it must be one of queued, running", "status"),
        ({"since": "yesterday"}, "write it as 2026-11-20T08:00:00Z", "since"),
        ({"until": "2026-11-20T08:00:00"}, "with its zone", "until"),
        ({"cursor": "x"}, "cursor is none of ours", "cursor"),
        ({"statsu": "queued"}, "did you mean 'status'?", "statsu"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(
    client: FlaskClient, query: dict[str, str], message: str, param: str
) -> None:
    response = client.get("/jobs", query_string=query)

    assert_error(response, 400, "invalid_request", message, param=param)
