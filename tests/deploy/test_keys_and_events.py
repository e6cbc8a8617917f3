"""A site that takes keys beside passwords, and tells what happens to jobs as it happens."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from commands import output, run
from deployment import JOB_DEADLINE_S, Deployment, finished, text_of, upload
from listeners import Listener, Socket
from spoken import draw_clips, draw_long_clip
from waiting import wait_until

pytestmark = [pytest.mark.deploy, pytest.mark.main_job]

NONSENSE = {"Authorization": "Bearer nonsense"}


def basic(user: str, password: str) -> dict[str, str]:
    """The header of HTTP basic."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def status_of(site: Deployment, headers: dict[str, str], path: str = "/jobs") -> int:
    """What a caller who shows these headers, and no password, is answered."""
    return httpx2.get(f"http://127.0.0.1:{site.port}{path}", headers=headers).status_code


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Minutes of speech: a job that takes a while."""
    folder = tmp_path_factory.mktemp("long")
    return draw_long_clip(folder, seed=4001, length_s=120).path.read_bytes()


def test_events_come_through_nginx_as_they_happen(site: Deployment, long_clip: bytes) -> None:
    url, allowed = f"http://127.0.0.1:{site.port}", basic("longhand", site.password)
    client = site.client()
    with Listener(url, "/events", allowed) as everything:
        job_id = upload(client, long_clip)
        with Listener(url, f"/jobs/{job_id}/events", allowed) as listener:
            first = listener.wait(1)[0]
            unfinished = client.get(f"/jobs/{job_id}").json()["status"] in ("queued", "running")
            heard = listener.wait_for_end(JOB_DEADLINE_S)
        listed = {event.data["job_id"] for event in everything.heard}

    assert listener.status == 200
    assert unfinished, "the first event came no sooner than the last"
    assert first.data["status"] in ("queued", "running")
    assert len(heard) > 2
    assert heard[-1].data["status"] == "succeeded"
    assert job_id in listed


def test_a_websocket_through_nginx_brings_the_events_of_a_job(
    site: Deployment, long_clip: bytes
) -> None:
    url, path = f"http://127.0.0.1:{site.port}", f"/ws/jobs/{upload(site.client(), long_clip)}"
    allowed = basic("longhand", site.password)
    nobody = Socket(url, path)
    foreign = Socket(url, path, allowed | {"Origin": "https://evil.example"})
    mine = Socket(url, path, allowed)
    frames = list(iter(mine.read, 1000))
    for each in (nobody, foreign, mine):
        each.close()

    assert [each.status for each in (nobody, foreign, mine)] == [401, 403, 101]
    assert isinstance(frames[-1], dict)
    assert frames[-1]["data"]["status"] == "succeeded"


LIVE_PATHS = ("/", "/asr", "/v1/audio/transcriptions")


def opened(site: Deployment, path: str, headers: dict[str, str] | None = None) -> int:
    """What a WebSocket is answered that shows these headers."""
    socket = Socket(f"http://127.0.0.1:{site.port}", path, headers)
    socket.close()
    return socket.status


def test_live_speech_is_behind_the_password(site: Deployment) -> None:
    allowed = basic("longhand", site.password)

    assert [opened(site, path) for path in LIVE_PATHS] == [401] * len(LIVE_PATHS)
    assert [opened(site, path, allowed) for path in LIVE_PATHS] == [101] * len(LIVE_PATHS)


def test_without_keys_a_key_gets_nobody_past_the_password(site: Deployment) -> None:
    key = site.make("key", "NAME=early").split()[-1]
    shown = [{}, NONSENSE, {"X-API-Key": "nonsense"}, {"X-API-Key": key}, {"Authorization": key}]

    assert [status_of(site, headers) for headers in shown] == [401] * 5
    assert status_of(site, {}, f"/events?token={key}") == 401
    assert status_of(site, basic("longhand", site.password)) == 200


@pytest.fixture(scope="module")
def keyed(site: Deployment) -> Iterator[Deployment]:
    """The site where keys count, and pages of one other site may call."""
    env = site.directory / ".env"
    before = env.read_text()
    added = "LONGHAND_AUTH=keys\nLONGHAND_CORS_ORIGINS=https://portal.example\n"
    env.write_text(f"{before}\n{added}")
    site.up()
    yield site
    env.write_text(before)
    site.up()


@pytest.fixture(scope="module")
def key(keyed: Deployment) -> str:
    """Ann's."""
    return keyed.make("key", "NAME=ann-by-key").split()[-1]


def test_live_speech_takes_keys_however_a_caller_can_send_them(keyed: Deployment, key: str) -> None:
    bearer = {"Authorization": f"Bearer {key}"}
    pair = {"Sec-WebSocket-Protocol": f"bearer, {key}"}
    wrong = {"Sec-WebSocket-Protocol": "bearer, nonsense"}

    for path in LIVE_PATHS:
        assert opened(keyed, path, bearer) == opened(keyed, f"{path}?token={key}") == 101
        assert opened(keyed, f"{path}?token=nonsense") == opened(keyed, path) == 401
        assert opened(keyed, path, wrong) == 401
    # A subprotocol is read where a browser's script may open the connection.
    assert opened(keyed, "/", pair) == opened(keyed, "/asr", pair) == 101


@pytest.fixture
def by_key(keyed: Deployment, key: str) -> Iterator[httpx2.Client]:
    """Ann, as an SDK sends her key."""
    url, headers = f"http://127.0.0.1:{keyed.port}", {"Authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=url, headers=headers, timeout=60) as client:
        yield client


def test_a_key_or_a_password_lets_in_and_nothing_else_does(keyed: Deployment, key: str) -> None:
    right, wrong = basic("longhand", keyed.password), basic("longhand", "wrong")
    let_in = [right, {"Authorization": f"Bearer {key}"}, {"Authorization": f"Token {key}"}]
    let_in += [{"Authorization": key}, {"X-API-Key": key}, wrong | {"X-API-Key": key}]
    kept_out = [{}, wrong, NONSENSE, {"X-API-Key": "nonsense"}, wrong | {"X-API-Key": "nonsense"}]
    # Let in by the password, and yet a key that is none is not passed over.
    kept_out += [right | {"X-API-Key": "nonsense"}]

    assert [status_of(keyed, headers) for headers in let_in] == [200] * 6
    assert [status_of(keyed, headers) for headers in kept_out] == [401] * 6


def test_what_is_done_with_a_key_is_its_holders_whatever_else_is_claimed(
    keyed: Deployment,
    key: str,
    by_key: httpx2.Client,
    hear: Callable[[Path], str],
    tmp_path: Path,
) -> None:
    [clip] = draw_clips(tmp_path, 1, seed=4000)
    job_id = upload(by_key, clip.path.read_bytes())
    claimed = basic("longhand", "wrong") | {"X-API-Key": key, "X-Remote-User": "longhand"}
    url = f"http://127.0.0.1:{keyed.port}"
    with Listener(url, f"/jobs/{job_id}/events?token={key}") as listener:
        last = listener.wait_for_end(JOB_DEADLINE_S)[-1]

    assert text_of(by_key, job_id) == hear(clip.path)
    assert last.data["status"] == "succeeded"
    mine = httpx2.get(f"{url}/jobs", headers=claimed).json()["jobs"]
    assert [job["job_id"] for job in mine] == [job_id]
    by_password = keyed.client()
    assert by_password.get(f"/jobs/{job_id}").status_code == 404
    forged = {"X-Remote-User": "ann-by-key"}
    assert by_password.get(f"/jobs/{job_id}", headers=forged).status_code == 404
    assert by_password.get(f"/jobs/{job_id}/events", headers=forged).status_code == 404


def test_an_upload_by_key_may_come_in_chunks(by_key: httpx2.Client, long_clip: bytes) -> None:
    pieces = (long_clip[at : at + 50_000] for at in range(0, len(long_clip), 50_000))
    accepted = by_key.post("/transcribe/binary", content=pieces)

    assert accepted.status_code == 202, accepted.text
    finished(by_key, accepted.json()["job_id"])


def test_a_page_of_a_listed_origin_can_tell_a_wrong_password(keyed: Deployment) -> None:
    url, portal = f"http://127.0.0.1:{keyed.port}/jobs", {"Origin": "https://portal.example"}
    asked = {"Access-Control-Request-Method": "POST"}
    allowed = "Access-Control-Allow-Origin"
    mine = httpx2.options(url, headers=asked | portal)
    other = httpx2.options(url, headers=asked | {"Origin": "https://evil.example"})
    refused = httpx2.get(url, headers=portal | basic("longhand", "wrong"))
    right = httpx2.get(url, headers=portal | basic("longhand", keyed.password))

    assert (mine.status_code, mine.headers[allowed]) == (204, "https://portal.example")
    assert allowed not in other.headers
    assert (refused.status_code, refused.headers[allowed]) == (401, "https://portal.example")
    assert (right.status_code, right.headers.get_list(allowed)) == (200, ["https://portal.example"])


def test_a_key_that_is_revoked_counts_no_more_and_no_key_is_in_the_logs(
    keyed: Deployment, key: str, by_key: httpx2.Client
) -> None:
    assert by_key.get("/jobs").status_code == 200
    program = str(keyed.directory / "deploy" / "key")
    assert "ann-by-key user - 20" in output(program, "--list", cwd=keyed.directory)
    run(program, "--revoke", "ann-by-key", cwd=keyed.directory)

    wait_until(lambda: by_key.get("/jobs").status_code == 401, 10, "401")
    logs = keyed.compose("logs", "--no-color", "nginx", "gateway", "live").stdout
    assert "GET /jobs/" in logs
    assert key not in logs
