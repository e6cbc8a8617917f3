"""
The host names that requests may use for a site that only its own machine reaches.

A foreign site can let its own name resolve to 127.0.0.1 once its page is open ("DNS rebinding").
The browser then takes us for that site, so `Origin` and `Sec-Fetch-Site` show nothing unusual.
`Host` does: it is the foreign name, and the page cannot change it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address

from gateway.access.headers import Headers
from shared.errors import Forbidden

_HOST = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(:[0-9]*)?")
_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
# Nobody on the Internet can own these. Containers call their host `….internal`.
_LOCAL = re.compile(r"(.+\.)?localhost|.+\.internal")


def refuse_other_names(headers: Headers, listed: Collection[str]) -> None:
    """
    Refuse a request whose `Host` is a name that others may own.

    Args:
        listed: The names that the operator gave the site.

    Raises:
        Forbidden: The name is neither this machine's nor listed.
    """
    host = headers.get("Host") or ""
    if not is_ours(host, listed):
        raise Forbidden(
            f"this site is not called {host[:100]!r} as far as it knows; if it is, its operator "
            "lists the name in LONGHAND_SERVER_NAMES"
        )


def is_ours(host: str, listed: Collection[str]) -> bool:
    """
    Whether a `Host` is an address, a name of this machine, or a listed name.

    >>> [is_ours(h, ()) for h in ("127.0.0.1:8499", "[::1]", "localhost:80", "a.localhost", "")]
    [True, True, True, True, True]
    >>> [is_ours(h, {"a.example"}) for h in ("A.Example.:80", "b.a.example", "x@a.example", "[x]")]
    [True, False, False, False]
    """
    if not host:  # browsers always send it
        return True
    found = _HOST.fullmatch(host.lower())
    name = found[1].removesuffix(".") if found else ""
    if name in listed or _LOCAL.fullmatch(name):
        return True
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def read_names(text: str) -> frozenset[str]:
    """
    Read a list of host names.

    Raises:
        ValueError: One is not a host name.

    >>> sorted(read_names("voice.example.org, Desk"))
    ['desk', 'voice.example.org']
    """
    found = frozenset(part.strip().lower() for part in text.split(",") if part.strip())
    for name in found:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a name such as voice.example.org")
    return found
