"""Nothing phones home: the demo in a network of its own, with every connection written down."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest
from needs import missing
from texts import spoken_text, word_errors

from shared.settings import CHECKOUT

_DESTINATION = re.compile(
    r'htons\((?P<port>\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"(?P<address>[^"]+)"'
)
_DNS_PORT = 53


def run_alone(trace: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """
    Run a command where there is no network but loopback.

    What it and all its children connect and send to is written to `trace`.
    """
    for program in ("unshare", "ip", "strace"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    namespace = (
        ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    )
    if subprocess.run([*namespace, "ip", "link", "set", "lo", "up"], check=False).returncode:
        missing("this user may not make a network namespace")
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    traced = f"ip link set lo up && exec strace -f -qq --seccomp-bpf -e {calls} -o $TRACE" + ' "$@"'
    return subprocess.run(
        [*namespace, "sh", "-c", traced, "sh", *command],
        cwd=CHECKOUT,
        env=os.environ | variables | {"TRACE": str(trace)},
        capture_output=True,
        text=True,
        timeout=240,
    )


def destinations(trace: Path) -> set[tuple[str, int]]:
    """Every address and port that was connected or sent to."""
    matches = _DESTINATION.finditer(trace.read_text())
    return {(match["address"], int(match["port"])) for match in matches}


def elsewhere(found: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Those beyond this machine, and DNS servers on it."""
    return {
        (address, port)
        for address, port in found
        if port == _DNS_PORT or not ip_address(address).is_loopback
    }


@pytest.mark.parametrize(
    "program",
    [
        "import socket\ntry: socket.getaddrinfo('example.com', 443)\nexcept OSError: pass",
        "import socket\ntry: socket.create_connection(('192.0.2.1', 443))\nexcept OSError: pass",
        "import socket\ns = socket.socket(socket.AF_INET6)\n"
        "try: s.connect(('2001:db8::1', 443))\nexcept OSError: pass",
    ],
    ids=["look-up", "IPv4", "IPv6"],
)
def test_a_program_that_reaches_out_is_caught(tmp_path, program):
    trace = tmp_path / "trace"

    run_alone(trace, sys.executable, "-c", program)

    assert len(elsewhere(destinations(trace))) >= 1


@pytest.mark.main_job
@pytest.mark.parametrize(
    "sample", ["demo.wav", pytest.param("conversation.flac", marks=pytest.mark.speech)]
)
def test_the_demo_succeeds_alone_and_looks_up_and_connects_to_nothing(
    tmp_path, demo_model, real_models, real_diarizer, sample
):
    trace = tmp_path / "trace"
    said = (CHECKOUT / "samples" / sample).with_suffix(".txt")
    is_real = sample != "demo.wav"
    variables = {} if is_real else {"LONGHAND_DEFAULT_MODEL": "demo"}

    demo = run_alone(trace, sys.executable, "-m", "cli", "demo", **variables)

    assert demo.returncode == 0, demo.stderr
    text = spoken_text(said) if is_real else said.read_text()
    assert word_errors(text, re.sub(r"^\[SPEAKER_\d+\]: ", "", demo.stdout, flags=re.M)) == 0
    found = destinations(trace)
    assert len(found) >= 2  # Redis and the gateway: the trace saw what happened
    assert elsewhere(found) == set()
