"""Whose request it is: a proxy that is trusted says so, else nobody in particular's."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from flask import request

from gateway.services import services
from shared.errors import InvalidRequest
from shared.jobs import DEFAULT_OWNER

USER_HEADER = "X-Remote-User"
_LONGEST_NAME = 200


def present_owner() -> str:
    """The owner of what the present request makes and may see."""
    if not is_trusted(request.remote_addr, services().settings.trusted_networks):
        return DEFAULT_OWNER
    # Headers come as Latin-1 whatever they were written in.
    name = request.headers.get(USER_HEADER, "").encode("latin-1").decode("utf-8", "replace")
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidRequest(f"{USER_HEADER} is no name: at most {_LONGEST_NAME} printable letters")
    return name or DEFAULT_OWNER


def is_trusted(address: str | None, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """
    Whether a peer is one whose word counts.

    >>> from ipaddress import ip_network
    >>> [is_trusted(a, [ip_network("10.1.0.0/16")]) for a in ("10.1.2.3", "::ffff:10.1.2.3")]
    [True, True]
    >>> [is_trusted(a, [ip_network("10.1.0.0/16")]) for a in ("10.2.0.1", "fe80::1", None)]
    [False, False, False]
    """
    if not address or not networks:
        return False
    try:
        peer = ip_address(address)
    except ValueError:  # the peer of a Unix socket has no address
        return False
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    return any(peer in network for network in networks)
