"""
Which pages of other sites may call (CORS), and which are refused.

A browser sends requests for a page of any site, together with the passwords that it knows. So a
request that changes something and comes from a page of another site is refused, unless the
operator lists its origin. Programs send neither `Origin` nor `Sec-Fetch-Site`, and pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from gateway.access.headers import USER_HEADER, Headers
from shared.errors import Forbidden

_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_REQUEST_HEADERS = (
    "Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Prefer", "Range",
    "Tus-Resumable", "Upload-Checksum", "Upload-Concat", "Upload-Defer-Length", "Upload-Length",
    "Upload-Metadata", "Upload-Offset", "X-API-Key", "X-HTTP-Method-Override", "X-Request-Id",
)  # fmt: skip
_ANSWER_HEADERS = ", ".join((
    "Accept-Ranges", "Asr-Engine", "Content-Disposition", "Content-Range", "Location",
    "Preference-Applied", "Retry-After", "Tus-Extension", "Tus-Max-Size", "Tus-Resumable",
    "Tus-Version", "Upload-Expires", "Upload-Length", "Upload-Metadata", "Upload-Offset",
    "X-Longhand-Ignored", "X-Longhand-Model", "X-Longhand-Warnings", "X-Request-Id",
    "X-Should-Retry",
))  # fmt: skip
_PREFLIGHT_LASTS_S = 600
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,80}")  # RFC 9110 §5.6.2
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
"""Desktop programs that show pages have schemes of their own: `app://obsidian.md`."""

_NO_PAGES = ("about", "blob", "data", "file", "ftp", "javascript", "ws", "wss")
"""Schemes that the origin of a page never has."""

NO_ORIGIN = "null"
"""What browsers send as the origin of a page in a file, or in a sandboxed frame."""

ANY_ORIGIN = "*"
"""Lists every origin. Its pages need a key of their own: browsers may not add a password."""


class Origins:
    """The origins whose pages may call: those that the operator lists."""

    def __init__(self, listed: Sequence[str]) -> None:
        self._listed = frozenset(listed)

    def is_listed(self, origin: str | None) -> bool:
        """Whether the operator lists an origin, or all of them."""
        return origin is not None and (origin in self._listed or ANY_ORIGIN in self._listed)

    def _is_named(self, origin: str | None) -> bool:
        """Whether the operator lists it by name, so that only that site has it."""
        return origin in self._listed and origin != NO_ORIGIN

    def refuse_foreign(self, method: str, headers: Headers) -> None:
        """
        Refuse a change by a page of another site.

        Args:
            method: The request's; a WebSocket counts as `POST`.

        Raises:
            Forbidden: The request comes from such a page, and its origin is not listed.
        """
        if method in _SAFE_METHODS:
            return
        origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site")
        # Pages cannot set Sec-Fetch-Site, so `same-origin` is true, even if a proxy changed
        # `Host`.
        if site == "same-origin" or self.is_listed(origin):
            return
        if site == "cross-site" or (origin is not None and not _is_own(origin, headers)):
            raise Forbidden(
                f"pages of {(origin or 'other sites')[:100]} may not call this site; "
                "its operator may list them in LONGHAND_CORS_ORIGINS"
            )

    def is_untrusted_page(self, method: str, headers: Headers) -> bool:
        """Whether a page that any site could have made would change something."""
        origin = headers.get("Origin")
        if method in _SAFE_METHODS or origin is None or self._is_named(origin):
            return False
        if origin == NO_ORIGIN:
            return True
        is_own = headers.get("Sec-Fetch-Site") == "same-origin" or _is_own(origin, headers)
        return ANY_ORIGIN in self._listed and not is_own

    def answer_headers(self, origin: str | None) -> Mapping[str, str]:
        """The CORS headers that let a page of a listed origin read an answer."""
        if origin is None or not self.is_listed(origin):
            return {}
        is_named = self._is_named(origin)
        found = {
            "Access-Control-Allow-Origin": origin if origin in self._listed else ANY_ORIGIN,
            "Access-Control-Expose-Headers": _ANSWER_HEADERS,
        }
        # Any site can make a frame without an origin, and `*` means any site. So their requests
        # may not carry a password.
        if is_named:
            found["Access-Control-Allow-Credentials"] = "true"
        return found

    def preflight_headers(self, method: str, headers: Headers) -> Mapping[str, str] | None:
        """
        The answer to a CORS preflight (Fetch standard).

        Returns:
            Headers; None if this is no preflight, or its origin is not listed.
        """
        asked = headers.get("Access-Control-Request-Method")
        if method != "OPTIONS" or not asked or not self.is_listed(headers.get("Origin")):
            return None
        return {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": ", ".join(_allowed(headers)),
            "Access-Control-Max-Age": str(_PREFLIGHT_LASTS_S),
        }

    @property
    def vary(self) -> bool:
        """Whether answers differ by origin, so that they need `Vary: Origin`."""
        return bool(self._listed)


def _allowed(headers: Headers) -> list[str]:
    """The request headers we read and those that SDKs add, but not the one that proxies set."""
    known = {name.lower() for name in (*_REQUEST_HEADERS, USER_HEADER)}
    asked = (headers.get("Access-Control-Request-Headers") or "").split(",")
    others = {name.strip().lower() for name in asked if _TOKEN.fullmatch(name.strip())}
    return [*_REQUEST_HEADERS, *sorted(others - known)]


def _is_own(origin: str, headers: Headers) -> bool:
    """Whether an origin is this site, by the request's `Host`."""
    parts = urlsplit(origin)
    host = (headers.get("Host") or "").lower()
    default = f":{_DEFAULT_PORTS.get(parts.scheme)}"
    return bool(host) and parts.netloc.removesuffix(default) == host.removesuffix(default)


def read_origins(text: str) -> tuple[str, ...]:
    """
    Read a list of origins.

    Raises:
        ValueError: One is neither `null`, nor `*`, nor a scheme and a host with or without port.

    >>> read_origins("https://portal.example.org, null, http://localhost:5000")
    ('https://portal.example.org', 'null', 'http://localhost:5000')
    >>> read_origins("app://obsidian.md,chrome-extension://abc,tauri://localhost,*")
    ('app://obsidian.md', 'chrome-extension://abc', 'tauri://localhost', '*')
    """
    found = tuple(part.strip().lower() for part in text.split(",") if part.strip())
    for origin in found:
        is_page = _ORIGIN.fullmatch(origin) and urlsplit(origin).scheme not in _NO_PAGES
        if origin not in (NO_ORIGIN, ANY_ORIGIN) and not is_page:
            raise ValueError(f"{origin!r} is not an origin such as https://portal.example.org")
    return found
