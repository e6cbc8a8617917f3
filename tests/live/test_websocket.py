"""`WS /ws/jobs/{id}`: the same events, as frames of JSON text."""

from __future__ import annotations

import importlib.util

import pytest
from listeners import Socket
from needs import missing
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from waiting import wait_until

from gateway.access.keys import add_key
from gateway.live.app import create_live
from gateway.settings import GatewaySettings
from shared.records import new_job_id


@pytest.fixture
def make_client(redis_url, storage_dir):
    """A function that starts gateway.live in this process, with settings, and gives a client."""
    opened = []

    def make(**changed):
        settings = {"redis_url": redis_url, "storage_dir": storage_dir, "default_model": "demo"}
        settings["live_host"] = "0.0.0.0"  # Starlette's test client calls it `testserver`
        app = create_live(GatewaySettings(**settings | changed))
        opened.append(TestClient(app, raise_server_exceptions=False))
        opened[-1].__enter__()
        wait_until(lambda: app.state.tail.is_up, 20, "events are read")
        return opened[-1]

    yield make
    for client in opened:
        client.__exit__(None, None, None)


def until_closed(socket):
    """Every frame, and the code of the close."""
    frames = []
    while True:
        try:
            frames.append(socket.receive_json())
        except WebSocketDisconnect as closed:
            return frames, closed.code


@pytest.mark.promise("S0-33")
def test_a_socket_brings_every_event_of_a_job_and_closes_after_the_last(make_client, journal):
    client = make_client()
    job_id = journal.submit()
    with client.websocket_connect(f"/ws/jobs/{job_id}") as socket:
        first = socket.receive_json()
        journal.start(job_id)
        said = journal.say(job_id, "segments", index=0, segments=[])
        end = journal.cancel(job_id)
        frames, code = until_closed(socket)

    assert (first["event"], first["data"]["status"]) == ("job", "queued")
    assert frames[-2] == {
        "id": said,
        "event": "segments",
        "data": {"job_id": job_id, "index": 0, "segments": []},
    }
    assert (frames[-1]["id"], frames[-1]["data"]["status"]) == (end, "cancelled")
    assert code == 1000


def test_a_socket_goes_on_after_an_event_and_closes_when_there_is_no_more(make_client, journal):
    client = make_client()
    job_id = journal.submit()
    journal.start(job_id)
    last = journal.report(job_id, 0.5)
    end = journal.cancel(job_id)
    with client.websocket_connect(f"/ws/jobs/{job_id}?last_event_id={last}") as socket:
        missed, _ = until_closed(socket)
    with client.websocket_connect(f"/ws/jobs/{job_id}?last_event_id={end}") as socket:
        nothing = until_closed(socket)

    assert missed[-1]["data"]["status"] == "cancelled"
    assert nothing == ([], 1000)


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 404, "job_not_found"),
        ({"Origin": "https://evil.example"}, 403, "forbidden"),
        ({"Origin": "https://portal.example"}, 404, "job_not_found"),
    ],
)
def test_a_socket_is_refused_as_a_request_is(make_client, headers, status, code):
    client = make_client(cors_origins="https://portal.example")
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(f"/ws/jobs/{new_job_id()}", headers=headers),
    ):
        pass

    assert refused.value.status_code == status
    assert refused.value.json()["code"] == code


def test_a_page_without_an_origin_listens_with_a_key_alone(make_client, journal, tmp_path):
    keys = tmp_path / "keys.json"
    ann, path = add_key(keys, "ann"), f"/ws/jobs/{journal.submit('ann')}"
    # Starlette's test client is `testclient`, and of no network.
    client = make_client(
        auth="keys", api_keys_file=keys, cors_origins="null", trusted_proxies="127.0.0.1/32"
    )
    client = TestClient(client.app, client=("127.0.0.1", 1), raise_server_exceptions=False)
    lent = {"Origin": "null", "X-Remote-User": "ann"}
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        client.websocket_connect(path, headers=lent),
    ):
        pass
    with client.websocket_connect(f"{path}?token={ann}", headers=lent) as socket:
        first = socket.receive_json()

    assert refused.value.status_code == 403
    assert "send a key" in refused.value.json()["error"]
    assert first["data"]["status"] == "queued"


def test_a_listener_who_hangs_up_makes_room(make_client, journal):
    client = make_client()
    job_id = journal.submit()
    with client.websocket_connect(f"/ws/jobs/{job_id}") as socket:
        socket.receive_json()
        assert client.app.state.tail.count("local") == 1

    wait_until(lambda: client.app.state.tail.count("local") == 0, 20, "nobody listens")


@pytest.mark.promise("S0-33")
def test_a_real_socket_is_told_how_its_job_ends(start_live, journal):
    if importlib.util.find_spec("websockets") is None:
        missing("uvicorn needs the package `websockets`, which the extra `gateway` brings")
    live = start_live()
    job_id = journal.submit()
    socket = Socket(live.url, f"/ws/jobs/{job_id}?token=lh_secret")
    refused = Socket(live.url, f"/ws/jobs/{new_job_id()}?token=lh_secret")
    try:
        first = socket.read()
        journal.cancel(job_id)

        assert (socket.status, refused.status) == (101, 404)
        assert first["data"]["status"] == "queued"
        assert socket.read()["data"]["status"] == "cancelled"
        assert socket.read() == 1000
        assert "lh_secret" not in live.log.read_text()
        assert "ERROR" not in live.log.read_text()
    finally:
        socket.close()
        refused.close()
