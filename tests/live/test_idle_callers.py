"""Two hundred callers who are connected and say nothing: they cost little, and hold nobody up."""

from __future__ import annotations

import json
import struct
from contextlib import ExitStack

import pytest
from process_tree import status_bytes
from scripted_worker import utterance
from waiting import wait_until
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

pytestmark = pytest.mark.faults

HELLO = json.dumps({"uid": "u1", "language": "en", "task": "transcribe", "model": "demo"})
SECOND = struct.pack("<f", 0.5) * 16_000
N_IDLE = 200
MOST_EACH_BYTES = 500_000
"""Five times what was measured, 103 kB."""


def test_two_hundred_idle_callers_cost_little_and_another_is_served(start_live, start_worker):
    worker = start_worker(
        lambda claimed, entry: [utterance("Good morning", 0.25)] if entry.ask == "end" else [],
        capacity=N_IDLE + 1,
    )
    live = start_live(live_sessions_per_owner=N_IDLE + 1, live_max_sessions=N_IDLE + 1)
    url = live.url.replace("http", "ws")
    before = status_bytes(live.child.pid, "VmRSS")
    with ExitStack() as stack:
        for _ in range(N_IDLE):
            idle = stack.enter_context(connect(url, ping_interval=None, close_timeout=0.1))
            idle.send(HELLO)
            assert json.loads(idle.recv(timeout=30))["message"] == "SERVER_READY"
        assert len(worker.sessions) == N_IDLE
        grown = status_bytes(live.child.pid, "VmRSS") - before

        spoken = stack.enter_context(connect(url, ping_interval=None, compression="deflate"))
        # Compressed silence would be taken in by the thousand frames.
        assert spoken.protocol.extensions == []
        spoken.send(HELLO)
        spoken.send(SECOND)
        spoken.send(b"END_OF_AUDIO")
        said = [json.loads(message) for message in spoken]
        full = stack.enter_context(connect(url, ping_interval=None))
        full.send(HELLO)  # the place of the one who left is free
        assert json.loads(full.recv(timeout=30))["message"] == "SERVER_READY"
        refused = stack.enter_context(connect(url, ping_interval=None))
        refused.send(HELLO)
        told = json.loads(refused.recv(timeout=30))
        with pytest.raises(ConnectionClosed) as closed:
            refused.recv(timeout=30)
    wait_until(lambda: not worker.sessions, 60, "all have left")

    assert said[-1]["segments"][0]["text"] == " Good morning"
    assert (told["status"], closed.value.rcvd.code) == ("WAIT", 1013)
    assert grown < N_IDLE * MOST_EACH_BYTES
