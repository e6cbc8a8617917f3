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
NGINX = ("sh", "/etc/longhand/nginx/start")
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
        all_changes |= {r"198\.18\.84\.1:": r"198\.18\.85\.1:"}
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
        nginx.ask("/transcribe/file", auth=None, method="POST", content=b"x" * 100_000),
    ]

    assert [refusal(answer) for answer in answers] == [(401, "unauthorized")] * 2
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


def test_a_browser_that_asks_beforehand_needs_no_password(
    start_nginx: Callable[..., Nginx],
) -> None:
    nginx = start_nginx("plain")
    asked = {"Access-Control-Request-Method": "POST", "Origin": "https://portal.example"}
    beforehand = nginx.ask("/jobs", auth=None, method="OPTIONS", headers=asked)
    otherwise = nginx.ask("/jobs", auth=None, method="OPTIONS")

    assert beforehand.status_code == 502  # let through; there is nobody behind
    assert otherwise.status_code == 401


def test_nobody_sends_a_body_past_the_password(start_nginx: Callable[..., Nginx]) -> None:
    nginx = start_nginx("plain")
    asked = {"Access-Control-Request-Method": "POST", "Origin": "https://portal.example"}
    sent = b"x" * 2000
    answer = nginx.ask("/jobs", auth=None, method="OPTIONS", headers=asked, content=sent)

    assert refusal(answer) == (413, "audio_too_large")


def test_a_key_that_nobody_can_be_asked_about_is_not_called_wrong(
    start_nginx: Callable[..., Nginx],
) -> None:
    nginx = start_nginx("plain")
    answers = [
        nginx.ask("/jobs", auth=None, headers={"X-API-Key": "lh_key"}),
        nginx.ask("/jobs", auth=("ann", "lh_key")),  # a password that may be one
    ]

    assert [refusal(answer) for answer in answers] == [(502, "busy")] * 2


def test_what_nginx_asks_of_the_gateway_nobody_else_may(
    start_nginx: Callable[..., Nginx],
) -> None:
    nginx = start_nginx("plain")

    assert [nginx.ask(path).status_code for path in ("/_auth", "/_preflight")] == [404, 404]


def test_no_query_is_logged_where_a_key_may_stand_in_it(
    start_nginx: Callable[..., Nginx],
) -> None:
    nginx = start_nginx("plain")
    asked = ["/events", "/jobs/1/events", "/jobs/1/audio", "/ws/jobs/1"]
    answers = [
        nginx.ask(f"{path}?token=lh_key", auth=auth) for path in asked for auth in (AUTH, None)
    ]
    told = run(DOCKER, "logs", nginx.container)

    assert {answer.status_code for answer in answers} == {502}
    assert "GET /jobs/1/events 502" in told.stdout
    assert "lh_key" not in told.stdout + told.stderr


GATE = """
server {
    listen 127.0.0.1:8499;
    location = /_auth {
        add_header X-Longhand-Key $http_x_api_key;
        if ($http_x_api_key = lh_key) {
            return 204;
        }
        return 401;
    }
    location / {
        return 200 "user=$http_x_remote_user";
    }
}
"""
"""What answers where the gateway would: who may in by key, and whom it is told of."""


def test_a_user_is_passed_on_only_if_the_password_was_looked_at(
    start_nginx: Callable[..., Nginx],
) -> None:
    behind = {"gateway:8499": "127.0.0.1:8499", "live:8500": "127.0.0.1:8499"}
    plain = "# HTTP with a password, for this machine"
    nginx = start_nginx("plain", changes=behind | {plain: f"{GATE}{plain}"})
    by_key, claimed = {"X-API-Key": "lh_key"}, {"X-Remote-User": "ann"}
    told = [
        nginx.ask(path, auth=auth, headers=headers).text
        for path in ("/jobs", "/jobs/1/audio", "/events")
        for auth, headers in [
            (AUTH, claimed),
            (AUTH, {"X-API-Key": "lh_other"}),  # for the gateway to refuse
            (("ann", "wrong"), by_key),
            (None, by_key | claimed),
            (AUTH, by_key),  # the password comes first, and is right
        ]
    ]

    assert told == ["user=ann", "user=ann", "user=", "user=", "user=ann"] * 3


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
        for port in (5000, 5050, 8000, 8001, 8002, 8088, 8496, 8799)
    ]

    assert here.status_code == 502  # let in; there is nobody behind
    assert codes == ["401"] * 8


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8496", 502),
        ("LOCALHOST", 502),
        ("[::1]:8496", 502),
        ("host.docker.internal:8496", 502),
        ("evil.example:8496", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("evil-localhost", 403),
    ],
)
def test_a_page_whose_name_leads_here_is_not_let_in_for_that(
    start_nginx: Callable[..., Nginx], host: str, status: int
) -> None:
    nginx = start_nginx("plain", "older-ports")
    answer = nginx.ask("/jobs", port=8496, auth=None, headers={"Host": host})

    assert answer.status_code == status
