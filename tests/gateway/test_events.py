"""The gateway leads those who listen to gateway.live."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "target", ["/events", "/jobs/0a/events?last_event_id=7-0&token=a%20b", "/jobs/%E4%BD%A0/events"]
)
def test_the_way_to_gateway_live_keeps_path_and_query(make_client, target):
    client = make_client(live_url="http://127.0.0.1:8500")
    answer = client.get(target)

    assert answer.status_code == 307
    assert answer.headers["Location"] == f"http://127.0.0.1:8500{target}"


def test_a_gateway_that_does_not_know_where_it_is_says_how_to_tell(client):
    answer = client.get("/events")

    assert answer.status_code == 404
    assert answer.json["code"] == "not_found"
    assert "LONGHAND_LIVE_URL" in answer.json["error"]


@pytest.mark.parametrize("url", ["127.0.0.1:8500", "http://host/path", "ftp://host"])
def test_where_it_is_has_to_be_an_origin(make_client, url):
    with pytest.raises(ValueError, match="live_url"):
        make_client(live_url=url)
