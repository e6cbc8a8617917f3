"""Who may listen is decided as the gateway decides it."""

from __future__ import annotations

import httpx2
import pytest
from listeners import Socket
from waiting import wait_until

from gateway.access.keys import add_key, revoke_key

PORTAL = "https://portal.example"


@pytest.fixture
def keys_file(tmp_path):
    return tmp_path / "keys.json"


@pytest.fixture
def live(start_live, keys_file):
    return start_live(auth="keys", api_keys_file=keys_file, cors_origins=PORTAL)


def test_a_key_lets_its_holder_hear_their_own_jobs_and_no_others(live, journal, listen, keys_file):
    ann, bob = add_key(keys_file, "ann"), add_key(keys_file, "bob")
    path = f"/jobs/{journal.submit('ann')}/events"
    statuses = [
        listen(live.url, path).status,
        listen(live.url, path, {"Authorization": "Bearer nonsense"}).status,
        listen(live.url, path, {"Authorization": f"Bearer {bob}"}).status,
        listen(live.url, path, {"Authorization": f"Bearer {ann}"}).status,
        listen(live.url, path, {"X-API-Key": ann}).status,
        listen(live.url, f"{path}?token={ann}").status,
    ]
    revoke_key(keys_file, "ann")

    assert statuses == [401, 401, 404, 200, 200, 200]
    wait_until(lambda: listen(live.url, path, {"X-API-Key": ann}).status == 401, 20, "401")


@pytest.mark.parametrize("query", ["token={}&token=", "token=&token={}", "token={0}&token={0}"])
def test_two_keys_in_a_query_are_refused_whatever_a_proxy_says(start_live, keys_file, query):
    live = start_live(auth="keys", api_keys_file=keys_file, trusted_proxies="127.0.0.1/32")
    bob = add_key(keys_file, "bob")
    # As nginx passes on a name whose password it did not look at, since a key had let it in.
    answer = httpx2.get(
        f"{live.url}/events?{query.format(bob)}", headers={"X-Remote-User": "ann"}, timeout=20
    )

    assert answer.status_code == 400
    assert answer.json()["error"] == "'token' was given twice"


def test_a_page_of_a_listed_origin_may_listen(live):
    asked = {"Access-Control-Request-Method": "GET"}
    mine = httpx2.options(f"{live.url}/events", headers=asked | {"Origin": PORTAL})
    other = httpx2.options(f"{live.url}/events", headers=asked | {"Origin": "https://evil.example"})
    refused = httpx2.get(f"{live.url}/events", headers={"Origin": PORTAL})

    assert mine.status_code == 204
    assert mine.headers["Access-Control-Allow-Origin"] == PORTAL
    assert "Last-Event-ID" in mine.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Origin" not in other.headers
    # So that a page can tell that it needs a key from a site that is away.
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert refused.headers["Access-Control-Allow-Origin"] == PORTAL


def test_a_program_open_to_the_network_without_keys_warns(start_live):
    assert "LONGHAND_AUTH is off" in start_live(live_host="0.0.0.0").log.read_text()
    assert "LONGHAND_AUTH is off" not in start_live().log.read_text()


def test_a_name_that_was_made_to_lead_here_is_refused(start_live, journal, listen):
    live, job = start_live(), journal.submit("local")
    rebound = {"Host": "evil.example:8500", "Origin": "http://evil.example:8500"}

    assert listen(live.url, f"/jobs/{job}/events", rebound).status == 403
    assert listen(live.url, f"/jobs/{job}/events").status == 200
    socket = Socket(live.url, f"/ws/jobs/{job}", rebound)
    socket.close()
    assert socket.status == 403


def test_a_listener_cannot_fill_memory_with_a_frame_that_never_ends(start_live, journal):
    live, job = start_live(), journal.submit("local")
    socket = Socket(live.url, f"/ws/jobs/{job}")
    socket.send(b"\x82\xff" + (16_000_000).to_bytes(8) + bytes(4))  # a header, and nothing of it
    said = [socket.read(), socket.read()]
    socket.close()

    assert (said[0]["data"]["status"], said[1]) == ("queued", 1009)
