"""nginx alone, with nobody behind it: its configuration, and what it says by itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from commands import DOCKER, CommandFailed, output, run
from deployment import Deployment
from waiting import wait_until

pytestmark = pytest.mark.deploy

NETWORK = "longhand-test-nginx"
SUBNET = "198.18.85.0/24"
"""Not the one of a site, which may be up."""
NGINX = ("nginx", "-c", "/etc/longhand/nginx/nginx.conf")
AUTH = ("ann", "secret")
LISTENERS = (
    ("plain",),
    ("plain", "older-ports"),
    ("plain", "tls"),
    ("plain", "older-ports", "tls"),
)


@dataclass
class Nginx:
    """A container that runs our configuration."""

    container: str

    def ask(
        self,
        path: str,
        *,
        port: int = 8080,
        auth: tuple[str, str] | None = AUTH,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx2.Response:
        """What one of its listeners answers to this machine."""
        scheme = "https" if port == 8443 else "http"
        published = output(DOCKER, "port", self.container, f"{port}/tcp").splitlines()[0]
        url = f"{scheme}://{published}{path}"
        return httpx2.request(
            method, url, auth=auth, headers=headers, content=content, verify=False
        )

    def curl(self, *arguments: str) -> str:
        """What curl says within the container."""
        return output(DOCKER, "exec", self.container, "curl", "-sS", *arguments)


@pytest.fixture(scope="module")
def network(bases: None) -> Iterator[str]:
    """A network where names are asked of Docker, as in a site."""
    run(DOCKER, "network", "create", "--subnet", SUBNET, NETWORK)
    yield NETWORK
    run(DOCKER, "network", "rm", NETWORK)


@pytest.fixture
def mounts(deployment: Deployment, tmp_path: Path) -> Callable[..., list[str]]:
    """A function that gives the mounts of a container: a copy of ours, with changes if named."""

    def prepare(*listeners: str, changes: dict[str, str] | None = None) -> list[str]:
        shutil.copytree(deployment.directory / "deploy" / "nginx", tmp_path / "nginx")
        all_changes = {"allow 198.18.84.1;": "allow 198.18.85.1;"} | (changes or {})
        for path in (tmp_path / "nginx").rglob("*.conf"):
            text = path.read_text()
            for old, new in all_changes.items():
                text = text.replace(old, new)
            path.write_text(text)
        hashed = run("openssl", "passwd", "-6", "-stdin", given=f"{AUTH[1]}\n").stdout
        (tmp_path / "htpasswd").write_text(f"{AUTH[0]}:{hashed}")
        tls, acme = tmp_path / "tls", tmp_path / "acme"
        challenges = acme / ".well-known" / "acme-challenge"
        challenges.mkdir(parents=True)
        (challenges / "token").write_text("proof")
        tls.mkdir()
        run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
            "-subj", "/CN=localhost", "-keyout", f"{tls}/privkey.pem",
            "-out", f"{tls}/fullchain.pem",
        )  # fmt: skip
        (tls / "privkey.pem").chmod(0o644)
        sites = {
            f"{tmp_path}/nginx/sites/{name}.conf": f"/etc/longhand/sites/{name}.conf"
            for name in listeners
        }
        bound = {
            f"{tmp_path}/nginx": "/etc/longhand/nginx",
            f"{tmp_path}/htpasswd": "/etc/longhand/htpasswd",
            f"{tls}": "/etc/longhand/tls",
            f"{acme}": "/var/lib/acme",
        } | sites
        return [part for a, b in bound.items() for part in ("--volume", f"{a}:{b}:ro")]

    return prepare


@pytest.fixture
def start_nginx(
    network: str, mounts: Callable[..., list[str]], deployment: Deployment
) -> Iterator[Callable[..., Nginx]]:
    """A function that starts nginx with some listeners, and with changes if named."""
    image = deployment.config()["services"]["nginx"]["image"]
    started: list[str] = []

    def start(*listeners: str, changes: dict[str, str] | None = None) -> Nginx:
        ports = [f"--publish=127.0.0.1::{port}" for port in (8080, 8081, 8443, 8496)]
        container = output(
            DOCKER, "run", "--detach", "--user", "101:101", "--read-only", "--cap-drop", "ALL",
            "--tmpfs", "/tmp:mode=1777", "--network", network, *ports,
            *mounts(*listeners, changes=changes), image, *NGINX, "-g", "daemon off;",
        )  # fmt: skip
        started.append(container)
        nginx = Nginx(container)

        def is_up() -> bool:
            try:
                return nginx.curl("http://127.0.0.1:8090/") == ""
            except CommandFailed:
                return False

        wait_until(is_up, 30, "nginx answers")
        return nginx

    yield start
    if started:
        run(DOCKER, "rm", "--force", *started)


@pytest.mark.parametrize("listeners", LISTENERS, ids="+".join)
def test_the_configuration_is_sound(
    bases: None,
    deployment: Deployment,
    mounts: Callable[..., list[str]],
    listeners: tuple[str, ...],
) -> None:
    image = deployment.config()["services"]["nginx"]["image"]

    checked = run(
        DOCKER, "run", "--rm", "--user", "101:101", "--read-only", "--tmpfs", "/tmp:mode=1777",
        *mounts(*listeners), image, *NGINX, "-t",
    )  # fmt: skip

    assert "test is successful" in checked.stderr
    assert "[warn]" not in checked.stderr.replace('"listen ... http2" directive is deprecated', "")


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    """Status and code of an error, which has to be JSON of our form."""
    assert answer.headers["Content-Type"] == "application/json", answer.text
    value = answer.json()
    assert value["success"] is False
    assert value["error"]
    return answer.status_code, value["code"]


def test_without_the_password_there_is_a_challenge_and_json(
    start_nginx: Callable[..., Nginx],
) -> None:
    nginx = start_nginx("plain")
    answers = [
        nginx.ask("/jobs", auth=None),
        nginx.ask("/jobs", auth=("ann", "wrong")),
        nginx.ask("/transcribe/file", auth=None, method="POST", content=b"x" * 100_000),
    ]

    assert [refusal(answer) for answer in answers] == [(401, "unauthorized")] * 3
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {'Basic realm="Longhand"'}


def test_when_the_gateway_is_away_callers_are_told_to_come_back(
    start_nginx: Callable[..., Nginx],
) -> None:
    answer = start_nginx("plain").ask("/jobs")

    assert refusal(answer) == (502, "busy")
    assert answer.headers.get_list("Retry-After") == ["5"]


def test_every_answer_carries_headers_that_keep_browsers_from_harm(
    start_nginx: Callable[..., Nginx],
) -> None:
    answer = start_nginx("plain").ask("/", auth=None)

    told = {name: answer.headers.get_list(name) for name in ("X-Frame-Options", "Referrer-Policy")}
    assert told == {"X-Frame-Options": ["DENY"], "Referrer-Policy": ["no-referrer"]}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Server"] == "nginx"


def test_a_body_over_the_limit_of_nginx_is_refused_as_json(
    start_nginx: Callable[..., Nginx],
) -> None:
    nginx = start_nginx("plain", changes={"client_max_body_size 1g": "client_max_body_size 1k"})
    answer = nginx.ask("/transcribe/binary", method="POST", content=b"x" * 2000)

    assert refusal(answer) == (413, "audio_too_large")


def test_an_address_that_asks_too_often_is_told_to_slow_down(
    start_nginx: Callable[..., Nginx],
) -> None:
    nginx = start_nginx("plain", changes={"rate=50r/s": "rate=1r/m", "burst=200": "burst=1"})
    answers = [nginx.ask("/jobs", auth=None) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert refusal(answers[2]) == (429, "too_many_requests")
    assert answers[2].headers["Retry-After"] == "1"


def test_a_page_of_a_listed_origin_may_ask_before_it_has_a_password(
    start_nginx: Callable[..., Nginx],
) -> None:
    listed = "# Origins of other"
    changes = {listed: f"https://portal.example $http_origin;\n{listed}"}
    nginx = start_nginx("plain", changes=changes)
    asked = {"Access-Control-Request-Method": "POST"}
    portal, evil = {"Origin": "https://portal.example"}, {"Origin": "https://evil.example"}
    mine = nginx.ask("/jobs", auth=None, method="OPTIONS", headers=asked | portal)
    other = nginx.ask("/jobs", auth=None, method="OPTIONS", headers=asked | evil)
    refused = nginx.ask("/jobs", auth=None, headers=portal)

    assert mine.status_code == 204
    assert mine.headers["Access-Control-Allow-Origin"] == "https://portal.example"
    assert "POST" in mine.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in mine.headers["Access-Control-Allow-Headers"]
    assert other.status_code == 401
    assert "Access-Control-Allow-Origin" not in other.headers
    # So that a page can tell a wrong password from a site that is away.
    assert refused.headers["Access-Control-Allow-Origin"] == "https://portal.example"


def test_https_speaks_http2_and_http_leads_there(start_nginx: Callable[..., Nginx]) -> None:
    nginx = start_nginx("plain", "tls")
    told = "%{http_version} %{response_code}"
    spoken = nginx.curl("-k", "-o", "/dev/null", "-w", told, "https://127.0.0.1:8443/jobs")
    secured = nginx.ask("/jobs", port=8443, auth=None)
    led = nginx.ask("/jobs?limit=2", port=8081, headers={"Host": "site.example"})
    proof = nginx.ask("/.well-known/acme-challenge/token", port=8081, auth=None)

    assert spoken == "2 401"
    assert refusal(secured) == (401, "unauthorized")
    assert secured.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert (led.status_code, led.headers["Location"]) == (308, "https://site.example/jobs?limit=2")
    assert (proof.status_code, proof.text) == (200, "proof")


def test_the_older_ports_need_no_password_from_this_machine_alone(
    start_nginx: Callable[..., Nginx],
) -> None:
    nginx = start_nginx("plain", "older-ports")
    here = nginx.ask("/jobs", port=8496, auth=None)
    codes = [
        nginx.curl("-o", "/dev/null", "-w", "%{response_code}", f"http://{host}:{port}/jobs")
        for host in ["127.0.0.1"]
        for port in (5000, 8001, 8002, 8088, 8496, 8799)
    ]

    assert here.status_code == 502  # let in; there is nobody behind
    assert codes == ["401"] * 6
