"""A gateway in this process, or as one of its own, and what stands in for a worker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from flask.testing import FlaskClient

sys.path.insert(0, str(Path(__file__).parent))

import clips  # noqa: E402
from gateway_process import GatewayProcess  # noqa: E402
from opened import open_quickly  # noqa: E402
from promises import Promises  # noqa: E402
from shelf import fetching  # noqa: E402, F401
from waiting import wait_until  # noqa: E402
from web_hosts import Host, Reply, running  # noqa: E402

from gateway.access.keys import Role, add_key  # noqa: E402
from gateway.app import create_app  # noqa: E402
from gateway.services import Services  # noqa: E402
from gateway.settings import GatewaySettings  # noqa: E402
from shared.catalogue import ModelEntry
from shared.settings import CHECKOUT  # noqa: E402
from shared.workers import WorkerRecord  # noqa: E402


@pytest.fixture
def settings(redis_url: str, storage_dir: Path) -> GatewaySettings:
    """Those of a site whose own model is `demo`, and where nobody waits long in vain."""
    return GatewaySettings(
        redis_url=redis_url, storage_dir=storage_dir, default_model="demo", max_wait_s=100.0
    )


@pytest.fixture
def make_client(settings: GatewaySettings) -> Iterator[Callable[..., FlaskClient]]:
    """
    A function that builds a gateway with other settings and returns a client for it.

    The test fails if an answer is not as the gateway documents it.
    """
    promises: list[Promises] = []
    with ExitStack() as opened:

        def make(**changed: object) -> FlaskClient:
            services = open_quickly(GatewaySettings(**settings.model_dump() | changed))
            opened.callback(services.redis.close)
            app = create_app(services.settings, services=services)
            promises.append(Promises(app))
            return app.test_client()

        yield make
    assert [line for each in promises for line in each.broken] == []


@pytest.fixture
def services(settings: GatewaySettings) -> Iterator[Services]:
    """What the client's gateway works with."""
    found = open_quickly(settings)
    yield found
    found.redis.close()


@pytest.fixture
def client(services: Services) -> Iterator[FlaskClient]:
    """
    A client of a gateway in this process.

    The test fails if an answer is not as the gateway documents it.
    """
    app = create_app(services.settings, services=services)
    promises = Promises(app)
    yield app.test_client()
    assert promises.broken == []


@pytest.fixture(scope="session")
def speech() -> bytes:
    """A short WAV."""
    return clips.wav(0.5)


@pytest.fixture
def start_gateway(
    redis_url: str, storage_dir: Path, tmp_path: Path
) -> Iterator[Callable[..., GatewayProcess]]:
    """A function that starts `python -m gateway`; its arguments are settings."""
    yield from _gateways(tmp_path, redis_url=redis_url, storage_dir=storage_dir)


@pytest.fixture(scope="module")
def start_gateway_once(
    redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., GatewayProcess]]:
    """The same for a gateway that the tests of a file share; it is told its `storage_dir`."""
    yield from _gateways(tmp_path_factory.mktemp("gateway"), redis_url=redis_server)


def _gateways(folder: Path, **settings: object) -> Iterator[Callable[..., GatewayProcess]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(**changed: object) -> GatewayProcess:
        chosen = {"default_model": "demo", "port": 0} | settings | changed
        env = {f"LONGHAND_{name.upper()}": str(value) for name, value in chosen.items()}
        log = folder / f"gateway-{len(started)}.log"
        with log.open("wb") as out:
            child = subprocess.Popen(
                [sys.executable, "-m", "gateway"],
                cwd=CHECKOUT,
                env={"PATH": os.environ["PATH"]} | env,
                stderr=out,
            )
        started.append(child)
        said = "listens on "
        wait_until(lambda: said in log.read_text() or child.poll() is not None, 30, "listening")
        assert child.poll() is None, log.read_text()
        url = log.read_text().partition(said)[2].split()[0].rstrip('"}')  # in JSON
        return GatewayProcess(child, url, Path(str(chosen["storage_dir"])), log)

    yield start
    for child in started:
        child.kill()
        child.wait()


@pytest.fixture
def stored_files(storage_dir: Path) -> Callable[[], list[str]]:
    """A function that lists every file below the storage directory."""
    return lambda: sorted(
        str(path.relative_to(storage_dir)) for path in storage_dir.rglob("*") if path.is_file()
    )


@pytest.fixture
def live_worker(services: Services) -> Callable[..., None]:
    """
    A function that makes it seem that a worker lives which has the models named.

    What it says of diarization models goes by the names of the record.
    """

    def publish(
        *models: str,
        name: str = "w1",
        can_download: bool = False,
        failed: Mapping[str, str] = MappingProxyType({}),
        own: Sequence[ModelEntry] = (),
        **speakers: Any,
    ) -> None:
        services.workers.publish(
            WorkerRecord(
                name=name,
                host="here",
                pid=1,
                engine="faster_whisper",
                device="cpu",
                compute_type="int8",
                models=(*models, *(entry.name for entry in own)),
                own_models=tuple(own),
                loaded=models[:1],
                can_download=can_download,
                failed=dict(failed),
                slots=1,
                started_at=time.time(),
                **speakers,
            )
        )

    return publish


@pytest.fixture
def host() -> Iterator[Host]:
    """A host on loopback that always has the same answer."""
    with running(lambda request, reply: reply.give(b"audio")) as running_host:
        yield running_host


@pytest.fixture
def serve() -> Iterator[Callable[..., Host]]:
    """A function that starts a host with an answer of its own."""
    with ExitStack() as hosts:
        yield lambda answer, tls=None: hosts.enter_context(running(answer, tls))


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    """Where the keys of the site are."""
    return tmp_path / "keys" / "keys.json"


@pytest.fixture
def make_key(keys_file: Path) -> Callable[..., str]:
    """A function that gives somebody a key."""

    def make(name: str, role: Role = "user", rate: str | None = None) -> str:
        return add_key(keys_file, name, role=role, rate=rate)

    return make


@pytest.fixture
def site(make_client: Callable[..., FlaskClient], keys_file: Path) -> FlaskClient:
    """A site for holders of keys and users of one proxy."""
    return make_client(
        auth="keys", api_keys_file=keys_file, trusted_proxies="198.18.84.0/24", admins="ann, eve"
    )


@pytest.fixture
def receive() -> Iterator[Callable[..., Host]]:
    """A function that starts a receiver which answers with these statuses, the last for ever."""
    with ExitStack() as hosts:

        def start(*statuses: int, **headers: str) -> Host:
            left = list(statuses or [204])

            def answer(request: object, reply: Reply) -> None:
                reply.give(status=left.pop(0) if len(left) > 1 else left[0], **headers)

            return hosts.enter_context(running(answer))

        yield start
