"""What is downloaded from a URL that a caller names: how much, how long, under which name."""

from __future__ import annotations

import io
import socket
import threading

import pytest
from fetching import fetch
from web_hosts import certificates

from gateway.outward.downloads import Downloader
from gateway.reading.audio import AudioWriter
from gateway.settings import GatewaySettings
from shared.errors import AudioTooLarge, AudioUnreachable, AudioUnreadable, Busy


def test_what_a_host_says_is_not_passed_on(serve):
    host = serve(lambda request, reply: reply.give(b"a secret page", 404))
    with pytest.raises(AudioUnreachable) as refused:
        fetch(f"http://127.0.0.1:{host.port}/?key=1", allowed_hosts="127.0.0.1")

    assert refused.value.message == "the URL could not be fetched: it answered 404"


def test_tls_is_checked_against_the_name_and_connects_to_the_address(serve, tmp_path):
    ca_file, tls = certificates(tmp_path, "files.test")
    host = serve(lambda request, reply: reply.give(b"audio"), tls)
    names = {"files.test": ["127.0.0.1"], "other.test": ["127.0.0.1"]}
    allowed = {"names": names, "allowed_hosts": "127.0.0.1"}

    assert fetch(f"https://files.test:{host.port}/", ca_file=ca_file, **allowed)[1] == b"audio"
    for url, trusted in (("https://other.test", ca_file), ("https://files.test", None)):
        with pytest.raises(AudioUnreachable, match="its certificate is not trusted"):
            fetch(f"{url}:{host.port}/", ca_file=trusted, **allowed)
    assert len(host.requests) == 1


def test_redirects_are_followed_five_times(serve):
    def answer(request, reply):
        n = int(request.path[1:])
        reply.give(b"audio") if n == 0 else reply.give(status=302, Location=f"/{n - 1}")

    host = serve(answer)
    url = f"http://127.0.0.1:{host.port}"

    assert fetch(f"{url}/5", allowed_hosts="127.0.0.1") == ("0", b"audio")
    with pytest.raises(AudioUnreachable, match="over 5 redirects"):
        fetch(f"{url}/6", allowed_hosts="127.0.0.1")


def test_a_header_may_name_the_file(serve):
    named = "attachment; filename=\"x.mp3\"; filename*=UTF-8''%E4%BC%9A.mp3"
    host = serve(lambda request, reply: reply.give(b"audio", Content_Disposition=named))

    assert fetch(f"http://127.0.0.1:{host.port}/x", allowed_hosts="127.0.0.1")[0] == "会.mp3"


def test_what_is_too_large_is_refused_by_its_header_and_as_it_comes(serve):
    def without_length(request, reply):
        reply.send_response(200)
        reply.end_headers()
        reply.wfile.write(b"x" * 1001)

    whole = serve(lambda request, reply: reply.give(b"x" * 1001))
    endless = serve(without_length)
    for host, size in ((whole, r"1\.0 kB|1 kB"), (endless, "larger than allowed")):
        with pytest.raises(AudioTooLarge, match=size) as refused:
            fetch(f"http://127.0.0.1:{host.port}/", allowed_hosts="127.0.0.1", max_audio_bytes=1000)
        assert refused.value.param == "url"


def test_bytes_that_come_packed_are_refused(serve):
    host = serve(lambda request, reply: reply.give(b"\x1f\x8b", Content_Encoding="gzip"))
    with pytest.raises(AudioUnreachable, match="Content-Encoding"):
        fetch(f"http://127.0.0.1:{host.port}/", allowed_hosts="127.0.0.1")


def test_what_breaks_off_is_not_taken(serve):
    host = serve(lambda request, reply: reply.give(b"half", Content_Length="8"))
    with pytest.raises(AudioUnreachable, match="broke off"):
        fetch(f"http://127.0.0.1:{host.port}/", allowed_hosts="127.0.0.1")


def test_an_empty_file_is_no_audio(serve):
    host = serve(lambda request, reply: reply.give(b""))
    with pytest.raises(AudioUnreadable, match="0 bytes"):
        fetch(f"http://127.0.0.1:{host.port}/", allowed_hosts="127.0.0.1")


@pytest.mark.parametrize("first", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_host_that_dribbles_is_cut_off_in_time(serve, first):
    """Each byte comes soon enough; together they would take for ever, in header or body."""

    def dribble(request, reply):
        reply.wfile.write(first)
        while not is_over():
            reply.wfile.write(b"x")
            reply.connection.settimeout(0.05)
            try:
                reply.connection.recv(1)
                return
            except TimeoutError:
                continue

    over = []
    is_over = over.__len__
    host = serve(dribble)
    try:
        with pytest.raises(AudioUnreachable, match="silent|longer than 1 s"):
            fetch(
                f"http://127.0.0.1:{host.port}/",
                allowed_hosts="127.0.0.1",
                download_timeout_s=1,
            )
    finally:
        over.append(True)


def test_a_host_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for scheme in ("http", "https"):
            with pytest.raises(AudioUnreachable, match="silent|longer than 1 s"):
                fetch(
                    f"{scheme}://127.0.0.1:{port}/",
                    allowed_hosts="127.0.0.1",
                    download_timeout_s=1,
                )


def test_a_name_that_is_never_resolved_is_given_up():
    """The system's resolver waits for its servers as long as it likes."""
    is_over, ended = threading.Event(), threading.Event()

    def resolve(host, port):
        is_over.wait(60)
        ended.set()
        return ["93.184.215.14"]

    downloader = Downloader(GatewaySettings(download_timeout_s=1), resolve=resolve)
    try:
        with pytest.raises(AudioUnreachable, match="LONGHAND_ALLOWED_HOSTS"):
            downloader.fetch("http://slow.example/", AudioWriter(io.BytesIO(), 100))
        assert not ended.is_set()
    finally:
        is_over.set()
        assert ended.wait(20)


def test_downloads_beyond_the_limit_are_told_to_come_again(serve):
    inner = []

    def answer(request, reply):
        try:
            inner.append(downloader.fetch(url, AudioWriter(io.BytesIO(), 100)))
        except Busy as busy:
            inner.append(busy)
        reply.give(b"audio")

    host = serve(answer)
    url = f"http://127.0.0.1:{host.port}/"
    downloader = Downloader(GatewaySettings(allowed_hosts="127.0.0.1", downloads_at_once=1))
    downloader.fetch(url, AudioWriter(io.BytesIO(), 100))

    [busy] = inner
    assert (type(busy), busy.retry_after_s) == (Busy, 5)
    assert "LONGHAND_DOWNLOADS_AT_ONCE" in busy.message


@pytest.mark.promise("S0-19")
def test_the_route_makes_a_job_of_what_is_allowed(make_client, speech, serve):
    host = serve(lambda request, reply: reply.give(speech))
    client = make_client(allowed_hosts="127.0.0.1")
    url = f"http://127.0.0.1:{host.port}/a/talk.wav?key=secret"
    answer = client.post("/transcribe/url", json={"url": url})

    assert answer.status_code == 202
    job = client.get(f"/jobs/{answer.json['job_id']}").json
    assert (job["filename"], job["n_bytes"]) == ("talk.wav", len(speech))
    assert "secret" not in str(job)
