"""`POST /transcribe/stream`, with a scripted worker behind it."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
from pathlib import Path

import httpx2
import pytest
from scripted_worker import utterance
from waiting import wait_until

PATH = "/transcribe/stream"
HEADER = (
    b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0"
    + struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    + b"data\xff\xff\xff\xff"
)
SECOND = b"\x00\x40" * 16_000


def say_each_second(claimed, entry):
    if entry.end % 16_000 or entry.ask:
        return []
    return [utterance(f"Second {entry.end // 16_000}", entry.end / 16_000 - 1, claimed.n_words)]


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


def test_a_wav_becomes_a_line_for_each_segment_and_a_last_one(serve, start_worker):
    start_worker(say_each_second)
    answer = serve().post(f"{PATH}?model=demo&language=en", content=HEADER + SECOND * 2)
    first, second, last = lines_of(answer.text)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert (first["number"], first["start"], first["end"]) == (0, 0.0, 0.5)
    assert [first["text"], second["text"]] == ["Second 1", "Second 2"]
    assert first["words"][1] == {"word": " 1", "start": 0.25, "end": 0.5, "probability": 0.9}
    assert last == {"done": True, "text": "Second 1 Second 2", "language": None, "duration": 2.0}


def test_bare_samples_and_bare_text(serve, start_worker):
    worker = start_worker(say_each_second)
    answer = serve().post(
        f"{PATH}?encoding=linear16&sample_rate=16000&channels=1&delay=high&prompt=hi",
        content=SECOND,
        headers={"Accept": "text/plain", "Content-Type": "application/octet-stream"},
    )

    assert answer.text == "Second 1\n"
    assert answer.headers["Content-Type"].startswith("text/plain")
    [claimed] = worker.seen
    assert (claimed.request.delay, claimed.request.prompt) == ("high", "hi")
    assert claimed.pcm == SECOND


@pytest.mark.promise("S2-15")
def test_lines_come_while_an_endless_wav_goes_on(start_live, start_worker):
    start_worker(say_each_second)
    host, _, port = start_live().url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as caller:
        head = f"POST {PATH}?model=demo HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n"
        caller.sendall(head.encode() + b"\r\n")
        came, read = "", caller.makefile("rb")
        for n in range(3):
            body = (HEADER if n == 0 else b"") + SECOND
            caller.sendall(b"%x\r\n%s\r\n" % (len(body), body))
            while f"Second {n + 1}" not in came:
                came += read.readline().decode()
        caller.sendall(b"0\r\n\r\n")
        while '"done": true' not in came:
            came += read.readline().decode()

    assert came.startswith("HTTP/1.1 200")
    assert '"text": "Second 1 Second 2 Second 3"' in came


def test_curl_may_send_a_pipe(start_live, start_worker):
    start_worker(say_each_second)
    url = start_live().url + PATH
    ended = subprocess.run(
        ["curl", "-sS", "-N", "-T", "-", "-X", "POST", "-H", "Accept: text/plain", url],
        input=HEADER + SECOND,
        capture_output=True,
        timeout=60,
    )

    assert (ended.stdout, ended.returncode) == (b"Second 1\n", 0), ended.stderr


@pytest.mark.parametrize(
    ("query", "headers", "content", "status", "problem"),
    [
        ("encoding=g729", {}, SECOND, 400, "encoding is 'g729'; it must be one of"),
        ("encoding=linear16&sample_rate=1", {}, SECOND, 400, "sample_rate is 1; it must be"),
        ("modle=base", {}, SECOND, 400, "modle: Extra inputs"),
        ("model=unheard-of", {}, SECOND, 404, "model 'unheard-of' is not known"),
        ("", {"Content-Type": "application/json"}, b"{}", 415, "send the audio itself"),
        ("", {}, b"a text that is no audio", 415, "the audio begins with b'a text that "),
        ("", {"Content-Length": "9999999999999"}, b"", 413, "LONGHAND_MAX_AUDIO_BYTES"),
        ("", {}, b"", 422, "the body is empty"),
        ("", {}, b"fLaC" + bytes(5000), 422, ""),
    ],
)
def test_an_error_before_the_first_line_has_its_status(
    serve, start_worker, query, headers, content, status, problem
):
    start_worker()
    answer = serve().post(f"{PATH}?{query}", content=content, headers=headers)

    assert answer.status_code == status, answer.text
    assert problem in answer.json()["error"]


def test_a_body_that_does_not_begin_is_not_waited_for(start_live):
    host, _, port = start_live(live_idle_s=1).url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as caller:
        head = f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n"
        caller.sendall(head.encode())
        with caller.makefile("rb") as answer:
            status, *rest = [answer.readline().decode() for _ in range(20)]

    assert status.startswith("HTTP/1.1 422")
    assert "LONGHAND_LIVE_IDLE_S" in "".join(rest)


def test_without_a_worker_the_answer_is_503(serve):
    answer = serve().post(PATH, content=HEADER + SECOND)

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_a_site_with_keys_lets_nobody_in_without_one(serve, tmp_path):
    (tmp_path / "keys.json").write_text("[]")
    answer = serve(auth="keys", api_keys_file=tmp_path / "keys.json").post(PATH, content=HEADER)

    assert answer.status_code == 401


def test_a_caller_who_disappears_frees_their_session_and_their_decoder(start_live, start_worker):
    worker = start_worker(say_each_second)
    program = start_live(live_max_sessions=1, live_resume_s=0)
    address = program.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=20) as caller:
        head = f"POST {PATH} HTTP/1.1\r\nHost: {address[0]}\r\nTransfer-Encoding: chunked\r\n\r\n"
        caller.sendall(head.encode() + b"d\r\n\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01\r\n")
        worker.session()
        wait_until(lambda: decoders_of(program), 20, "a decoder")
    wait_until(lambda: not decoders_of(program), 20, "no decoder")

    answers = []

    def is_served():
        answers.append(httpx2.post(program.url + PATH, content=HEADER + SECOND))
        return answers[-1].status_code == 200

    wait_until(is_served, 20, "room for another session")
    assert lines_of(answers[-1].text)[0]["text"] == "Second 1"


def decoders_of(program):
    """The children of gateway.live."""
    pid = program.child.pid
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
