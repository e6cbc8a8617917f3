#!/usr/bin/env python3
"""
Try the HTTP routes of a running site: `python3 test_http_endpoints.py [base url] [audio file]`.

It needs Python alone. The address is http://127.0.0.1:8499 and the audio is samples/demo.wav
unless given; a key, where the site asks for one, is read from `LONGHAND_KEY`. Each route is a
line, and the exit status is 0 if every one answered as it should.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
import uuid
from pathlib import Path

BASE = "http://127.0.0.1:8499"
AUDIO = Path(__file__).resolve().parent / "samples" / "demo.wav"
TIMEOUT_S = 600


def call(url: str, body: bytes | None = None, content_type: str = "") -> tuple[int, str]:
    """Ask once; the status and the text of the answer."""
    request = urllib.request.Request(url, data=body, method="GET" if body is None else "POST")
    if content_type:
        request.add_header("Content-Type", content_type)
    if key := os.environ.get("LONGHAND_KEY"):
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def form(audio: Path | None, **fields: str) -> tuple[bytes, str]:
    """A multipart body and its type."""
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if audio:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; '
        head += f'filename="{audio.name}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        parts.append(head.encode() + audio.read_bytes() + b"\r\n")
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def text_of(answer: str) -> str:
    """The text of a JSON answer."""
    return str(json.loads(answer)["text"]).strip()


def checks(base: str, audio: Path) -> list[tuple[str, bool, str]]:
    """Each route, whether it did as it should, and what it said."""
    done = []

    def check(name: str, status: int, answer: str, is_right: bool) -> None:
        done.append((name, is_right, f"{status} {' '.join(answer.split())[:100]}"))

    status, answer = call(f"{base}/health")
    check("GET /health", status, answer, status == 200 and json.loads(answer)["ready"])
    status, answer = call(f"{base}/models")
    check("GET /models", status, answer, status == 200 and bool(json.loads(answer)["models"]))
    status, answer = call(f"{base}/v1/models")
    check("GET /v1/models", status, answer, status == 200)
    status, answer = call(f"{base}/transcribe", *form(audio, task="transcribe"))
    spoken = text_of(answer) if status == 200 else ""
    check("POST /transcribe", status, spoken or answer, bool(spoken))
    status, answer = call(f"{base}/recognise", *form(audio))
    is_right = status == 200 and text_of(answer) == spoken
    check("POST /recognise", status, answer, is_right)
    for wanted in ("json", "verbose_json", "text", "srt", "vtt"):
        url = f"{base}/v1/audio/transcriptions"
        status, answer = call(url, *form(audio, model="whisper-1", response_format=wanted))
        heard = text_of(answer) if status == 200 and "json" in wanted else answer.strip()
        is_right = status == 200 and (heard == spoken or wanted in ("srt", "vtt"))
        check(f"POST /v1/audio/transcriptions {wanted}", status, heard, is_right)
    status, answer = call(f"{base}/transcribe", *form(None))
    check("POST /transcribe without a file is refused", status, answer, status == 400)
    return done


def main(arguments: list[str]) -> int:
    """Print a line for each route; 0 if all did as they should."""
    base = (arguments[0] if arguments else BASE).rstrip("/")
    audio = Path(arguments[1]) if len(arguments) > 1 else AUDIO
    if not audio.is_file():
        print(f"there is no file {audio}")
        return 2
    try:
        done = checks(base, audio)
    except OSError as error:
        print(f"{base} cannot be reached: {error}")
        return 2
    for name, is_right, said in done:
        print(f"{'ok  ' if is_right else 'FAIL'}  {name}: {said}")
    n_wrong = sum(not is_right for _, is_right, _ in done)
    print(f"{len(done) - n_wrong} of {len(done)} did as they should")
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
