"""
Requests of programs that cannot run here, as they went over the wire: only the address, the
boundary's content and the lengths that follow from it are filled in.

Recorded from what these programs send with: requests 2.32 (Bazarr's `whisperai` provider), httpx
0.28 (Speakr's connector for an ASR endpoint), and Chromium for Obsidian's Whisper plugin.
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Mapping
from http.client import HTTPResponse
from typing import NamedTuple
from urllib.parse import urlsplit

_WAIT_S = 240


class Recorded(NamedTuple):
    """
    One request.

    Attributes:
        line: Its first line.
        headers: Those between Host and the two that tell of the body, line by line.
        boundary: Of its multipart body.
        parts: Of that body, with `{audio}` where the audio is; none where there is no body.
    """

    line: str
    headers: tuple[str, ...]
    boundary: str = ""
    parts: tuple[tuple[str, str], ...] = ()

    def by(self, user: str, password: str) -> Recorded:
        """The same with a user and a password, as its address may have them before an `@`."""
        shown = base64.b64encode(f"{user}:{password}".encode()).decode()
        return self._replace(headers=(*self.headers, f"Authorization: Basic {shown}"))

    def written(self, host: str, audio: bytes) -> bytes:
        """The bytes."""
        head = [self.line, f"Host: {host}", *self.headers]
        body = b""
        if self.parts:
            for header, value in self.parts:
                content = audio if value == "{audio}" else value.encode()
                body += f"--{self.boundary}\r\n{header}\r\n\r\n".encode() + content + b"\r\n"
            body += f"--{self.boundary}--\r\n".encode()
            head += [
                f"Content-Length: {len(body)}",
                f"Content-Type: multipart/form-data; boundary={self.boundary}",
            ]
        return "\r\n".join([*head, "", ""]).encode() + body


class Answered(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def replay(url: str, request: Recorded, audio: bytes = b"") -> Answered:
    """Send a request to a site, byte for byte."""
    place = urlsplit(url)
    assert place.hostname is not None
    with socket.create_connection((place.hostname, place.port or 80), timeout=_WAIT_S) as line:
        line.sendall(request.written(place.netloc, audio))
        with HTTPResponse(line, method=request.line.partition(" ")[0]) as answer:
            answer.begin()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answered(answer.status, headers, answer.read())


_SUBLIMINAL = (
    "User-Agent: Subliminal/2.1",
    "Accept-Encoding: gzip, deflate",
    "Accept: */*",
    "Connection: keep-alive",
)
_SAMPLES = (
    ('Content-Disposition: form-data; name="audio_file"; filename="audio_file"', "{audio}"),
)

BAZARR_TEST = Recorded(
    "GET /status HTTP/1.1",
    (
        "User-Agent: Bazarr",
        "Accept-Encoding: gzip, deflate",
        "Accept: */*",
        "Connection: keep-alive",
    ),
)
BAZARR_DETECT = Recorded(
    "POST /detect-language?encode=false"
    "&video_file=%2Fmovies%2FA+Film+%282020%29%2Ffilm.mkv HTTP/1.1",
    _SUBLIMINAL,
    "67f182938064618663002e1d1d6a2519",
    _SAMPLES,
)
BAZARR_ASR = Recorded(
    "POST /asr?task=transcribe&language=en&output=srt&encode=false HTTP/1.1",
    _SUBLIMINAL,
    "3cd2512058ac29e20ca0085868d72303",
    _SAMPLES,
)
SPEAKR_ASR = Recorded(
    "POST /asr?encode=true&task=transcribe&output=json&language=en&diarize=true"
    "&enable_diarization=true&min_speakers=2&max_speakers=4 HTTP/1.1",
    (
        "Accept: */*",
        "Accept-Encoding: gzip, deflate",
        "Connection: keep-alive",
        "User-Agent: python-httpx/0.28.1",
    ),
    "470e11322f08370ef5f2b5a677c5036d",
    (
        (
            'Content-Disposition: form-data; name="audio_file"; filename="meeting.wav"\r\n'
            "Content-Type: audio/wav",
            "{audio}",
        ),
    ),
)
_OBSIDIAN = "Origin: app://obsidian.md"
_ELECTRON = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "obsidian/1.8.9 Chrome/132.0.6834.196 Electron/34.2.0 Safari/537.36"
)
OBSIDIAN_ASKS = Recorded(
    "OPTIONS /v1/audio/transcriptions HTTP/1.1",
    (
        "Connection: keep-alive",
        "Accept: */*",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization",
        _OBSIDIAN,
        _ELECTRON,
        "Sec-Fetch-Mode: cors",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Dest: empty",
        "Accept-Encoding: gzip, deflate",
        "Accept-Language: en-US",
    ),
)


def obsidian_sends(key: str) -> Recorded:
    """The plugin's request, with a key."""
    return Recorded(
        "POST /v1/audio/transcriptions HTTP/1.1",
        (
            "Connection: keep-alive",
            f"Authorization: Bearer {key}",
            "Accept: application/json, text/plain, */*",
            _OBSIDIAN,
            _ELECTRON,
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Mode: cors",
            "Sec-Fetch-Dest: empty",
            "Accept-Encoding: gzip, deflate",
            "Accept-Language: en-US",
        ),
        "----WebKitFormBoundary7MA4YWxkTrZu0gW1",
        (
            (
                'Content-Disposition: form-data; name="file"; '
                'filename="2026-11-30T20-15-00-000Z.webm"\r\n'
                "Content-Type: audio/webm",
                "{audio}",
            ),
            ('Content-Disposition: form-data; name="model"', "whisper-1"),
            ('Content-Disposition: form-data; name="language"', "en"),
            ('Content-Disposition: form-data; name="prompt"', "Alice"),
        ),
    )
