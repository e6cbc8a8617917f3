"""A URL that a caller names leads to public hosts, or to those allowed, and nowhere else."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from fetching import fetch
from web_hosts import Names

from gateway.outward.addresses import is_own, is_public
from gateway.outward.reachable import AllowedHosts
from gateway.settings import GatewaySettings
from shared.errors import AudioUnreachable

PUBLIC = "93.184.215.14"


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
    "http://１２７.０.０.１:{port}/",
    "http://127.0.0.1:{port}#@public.example/",
    "http://[::ffff:0:127.0.0.1]:{port}/",
    "http://[::ffff:127.0.0.1%25lo]:{port}/",
    "http://localhost%00.public.example:{port}/",
    "http://public.example:{port}\r\nHost: localhost/",
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


@pytest.mark.parametrize("spelling", ["{}", "::ffff:{}", "64:ff9b::{}"])
def test_a_public_address_of_this_machine_is_known_as_its_own(spelling):
    """It stands in no list: only its routes tell."""
    own = [is_own(ip_address(spelling.format(ip))) for ip in ("127.0.0.1", PUBLIC)]

    assert own == [True, False]


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


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "http://[::ffff:7f00:1]:{port}/"])
def test_the_route_refuses_what_the_downloader_does(client, stored_files, host, url):
    answer = client.post("/transcribe/url", json={"url": url.format(port=host.port)})

    assert (answer.status_code, answer.json["param"]) == (422, "url")
    assert answer.json["code"] == "audio_unreachable"
    assert (stored_files(), host.n_connections) == ([], 0)
