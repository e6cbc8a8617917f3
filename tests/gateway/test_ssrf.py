"""A URL that a caller names leads to public hosts, or to those allowed, and nowhere else."""

from __future__ import annotations

import io
import socket
import threading
from contextlib import ExitStack
from ipaddress import ip_address

import pytest
from web_hosts import Names, certificates, running

from gateway.outward.addresses import is_own, is_public
from gateway.outward.downloads import Downloader
from gateway.outward.reachable import AllowedHosts
from gateway.settings import GatewaySettings
from gateway.uploads import AudioWriter
from shared.errors import AudioTooLarge, AudioUnreachable, AudioUnreadable, Busy

PUBLIC = "93.184.215.14"


@pytest.fixture
def host():
    """A host on loopback that always has the same answer."""
    with running(lambda request, reply: reply.give(b"audio")) as running_host:
        yield running_host


@pytest.fixture
def serve():
    """A function that starts a host with an answer of its own."""
    with ExitStack() as hosts:
        yield lambda answer, tls=None: hosts.enter_context(running(answer, tls))


def fetch(url, *, names=None, **settings):
    """Download; what it is called, and the bytes."""
    out = io.BytesIO()
    chosen = GatewaySettings(**settings)
    if not isinstance(names, Names):
        names = Names({name: [addresses] for name, addresses in (names or {}).items()})
    downloader = Downloader(chosen, resolve=names)
    name = downloader.fetch(url, AudioWriter(out, chosen.max_audio_bytes))
    return name, out.getvalue()


LOOPBACK = [
    "http://127.0.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://127.8.9.10:{port}/",
    "http://2130706433:{port}/",
    "http://017700000001:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0177.0x0.0.1:{port}/",
    "http://127.0.0.01:{port}/",
    "http://localhost:{port}/",
    "http://localhost.:{port}/",
    "http://LOCALHOST:{port}/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{port}/",
    "http://①②⑦.⓪.⓪.①:{port}/",
    "http://127。0。0。1:{port}/",
    "http://127%2e0%2e0%2e1:{port}/",
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:7f00:1::80ff:fffe]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://public.example@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@public.example/",
    "http://public.example:80@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@public.example/",
    "http://public.example\t@127.0.0.1:{port}/",
    "http://user:password@localhost:{port}/",
    "https://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "file://127.0.0.1:{port}/etc/passwd",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_GET",
    "dict://127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "127.0.0.1:{port}/",
]


@pytest.mark.parametrize("url", LOOPBACK)
def test_no_spelling_of_this_machine_is_connected_to(host, url):
    with pytest.raises(AudioUnreachable) as refused:
        fetch(
            url.format(port=host.port),
            names={"localhost": ["127.0.0.1", "::1"], "public.example": ["127.0.0.1"]},
        )

    assert refused.value.param == "url"
    assert host.n_connections == 0


ELSEWHERE = [
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "169.254.170.2",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "0.1.2.3",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "100::1",
    "2001:db8::1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "::10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:a00:1::1",
    "2001::a9fe:a9fe",
]


@pytest.mark.parametrize("ip", ELSEWHERE)
def test_an_address_that_is_not_public_is_refused_however_it_is_named(ip):
    """Refused by what it is: that nothing answers there would be told in other words."""
    literal = f"[{ip}]" if ":" in ip else ip
    urls = ["http://name.example/", "https://name.example/"]
    urls += [f"http://{literal}/"] if "%" not in ip else []
    for url in urls:
        with pytest.raises(AudioUnreachable, match="LONGHAND_ALLOWED_HOSTS") as refused:
            fetch(url, names={"name.example": [ip]}, download_timeout_s=5)

        assert ip not in str(refused.value)
    assert not is_public(ip_address(ip))


def test_an_address_with_a_zone_is_no_host_of_a_url():
    with pytest.raises(AudioUnreachable, match="the host is no"):
        fetch("http://[fe80::1%eth0]/")


def test_a_public_address_of_this_machine_is_known_as_its_own():
    """It stands in no list: only its routes tell."""
    assert [is_own(ip_address(ip)) for ip in ("127.0.0.1", PUBLIC)] == [True, False]


@pytest.mark.parametrize(
    "answer", [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], [PUBLIC, "::1"], [], ["rubbish"]]
)
def test_one_address_that_is_not_public_spoils_all(host, answer):
    with pytest.raises(AudioUnreachable):
        fetch(f"http://mixed.example:{host.port}/", names={"mixed.example": answer})

    assert host.n_connections == 0


def test_a_name_that_changes_its_mind_is_asked_once_and_pinned(host):
    """DNS rebinding: allowed when it is checked, another when it is connected to."""
    names = Names({"files.test": [["127.0.0.1"], ["127.0.0.2"]]})
    name, audio = fetch(
        f"http://files.test:{host.port}/talk.wav", names=names, allowed_hosts="127.0.0.1"
    )

    assert (names.asked, name, audio) == (["files.test"], "talk.wav", b"audio")


def test_a_name_that_has_turned_inward_is_refused_at_the_redirect(serve):
    """The same name, at the second hop, is resolved and checked anew."""
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    host = serve(lambda request, reply: reply.give(status=302, Location="/again"))
    with pytest.raises(AudioUnreachable):
        fetch(
            f"http://files.test:{host.port}/",
            names=Names({"files.test": answers}),
            allowed_hosts="127.0.0.1",
        )

    assert [r.path for r in host.requests] == ["/"]


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:{port}/",
        "//127.0.0.2:{port}/",
        "http://[::ffff:127.0.0.2]:{port}/",
        "http://0177.0.0.2:{port}/",
        "http://2130706434:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://inside.test:{port}/",
        "http://files.test@127.0.0.2:{port}/",
        "file:///etc/passwd",
        "gopher://127.0.0.2:{port}/",
        "http://127.0.0.2:{port}\\@files.test/",
        "http://[::1",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_inward_is_refused(serve, location, status):
    inside = serve(lambda request, reply: reply.give(b"secret"))
    outside = serve(
        lambda request, reply: reply.give(status=status, Location=location.format(port=inside.port))
    )
    with pytest.raises(AudioUnreachable):
        fetch(
            f"http://files.test:{outside.port}/",
            names={"files.test": ["127.0.0.1"], "inside.test": ["127.0.0.2"]},
            allowed_hosts=f"files.test:{outside.port}",
        )

    assert (outside.n_connections, inside.n_connections) == (1, 0)


def test_a_refusal_does_not_tell_whether_the_name_exists():
    said = set()
    for names in ({"a.internal": ["10.0.0.1"]}, {"a.internal": ["127.0.0.1"]}, {}):
        with pytest.raises(AudioUnreachable) as refused:
            fetch("http://a.internal/", names=names)
        said.add(refused.value.message)

    assert len(said) == 1
    assert "LONGHAND_ALLOWED_HOSTS" in said.pop()


def test_what_a_host_says_is_not_passed_on(serve):
    host = serve(lambda request, reply: reply.give(b"a secret page", 404))
    with pytest.raises(AudioUnreachable) as refused:
        fetch(f"http://127.0.0.1:{host.port}/?key=1", allowed_hosts="127.0.0.1")

    assert refused.value.message == "the URL could not be fetched: it answered 404"


def test_the_environments_proxy_is_not_used(host, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{host.port}")
    with pytest.raises(AudioUnreachable):
        fetch(
            "http://files.test:1/", names={"files.test": ["127.0.0.1"]}, allowed_hosts="files.test"
        )

    assert host.n_connections == 0


@pytest.mark.parametrize(
    "allowed",
    ["127.0.0.1", "127.0.0.0/8", "127.0.0.1:{port}", "files.test", "Files.Test.:{port}",
     "10.0.0.0/8, files.test"],
)  # fmt: skip
def test_a_host_that_is_allowed_is_fetched(host, allowed):
    name, audio = fetch(
        f"http://files.test:{host.port}/a/Gespr%C3%A4ch.mp3?sig=x%2Fy&z",
        names={"files.test": ["127.0.0.1"]},
        allowed_hosts=allowed.format(port=host.port),
    )

    assert (name, audio) == ("Gespräch.mp3", b"audio")
    [request] = host.requests
    assert request.path == "/a/Gespr%C3%A4ch.mp3?sig=x%2Fy&z"
    assert request.headers["host"] == f"files.test:{host.port}"
    assert request.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("allowed", ["127.0.0.2", "127.0.0.1:1", "files.test:1", "test", "10/8"])
def test_what_is_not_quite_allowed_is_not(host, allowed):
    try:
        AllowedHosts.parse(allowed)
    except ValueError:
        return
    with pytest.raises(AudioUnreachable):
        fetch(
            f"http://files.test:{host.port}/",
            names={"files.test": ["127.0.0.1"]},
            allowed_hosts=allowed,
        )

    assert host.n_connections == 0


@pytest.mark.parametrize("text", ["10.0.0.1/8", "a b", "http://x", "host:port", "x/24", "a@b"])
def test_a_list_of_hosts_that_cannot_be_read_is_refused_at_the_start(text):
    with pytest.raises(ValueError, match="is no host, host:port or network"):
        GatewaySettings(allowed_hosts=text)


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
        return [PUBLIC]

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


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "http://[::ffff:7f00:1]:{port}/"])
def test_the_route_refuses_what_the_downloader_does(client, stored_files, host, url):
    answer = client.post("/transcribe/url", json={"url": url.format(port=host.port)})

    assert (answer.status_code, answer.json["param"]) == (422, "url")
    assert answer.json["code"] == "audio_unreachable"
    assert (stored_files(), host.n_connections) == ([], 0)


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
