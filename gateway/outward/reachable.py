"""Which addresses callers' URLs may lead to: public ones, and those that the operator allows."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self
from urllib.parse import urlsplit

from gateway.outward.addresses import (
    Address,
    AddressRefused,
    IPAddress,
    is_own,
    is_public,
    parse_address,
)

Resolve = Callable[[str, int], Sequence[str]]
"""The addresses of a host name, as text; OSError if it has none."""


@dataclass(frozen=True)
class _Allowed:
    """One entry of the list: a host name or a network, on one port or on all."""

    name: str = ""
    network: IPv4Network | IPv6Network | None = None
    port: int | None = None


class AllowedHosts:
    """The hosts of `LONGHAND_ALLOWED_HOSTS`: callers may name them though they are not public."""

    def __init__(self, entries: Sequence[_Allowed] = ()) -> None:
        self._entries = entries

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read `media.internal, 10.2.0.0/16, files:8080, [fd00::7]:80`.

        Raises:
            ValueError: An entry has none of these forms.
        """
        return cls([_parse_entry(part.strip()) for part in text.split(",") if part.strip()])

    def has_name(self, address: Address) -> bool:
        """Whether a host is allowed by name, whatever its address."""
        return any(
            entry.name == address.host and entry.port in (None, address.port)
            for entry in self._entries
            if entry.name
        )

    def has_ip(self, ip: IPAddress, port: int) -> bool:
        """Whether an IP address is allowed."""
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        return any(
            ip in entry.network and entry.port in (None, port)
            for entry in self._entries
            if entry.network
        )


def _parse_entry(text: str) -> _Allowed:
    try:
        return _Allowed(network=ip_network(text))
    except ValueError:
        pass
    try:
        if "/" in text:
            raise AddressRefused("a network is written 10.2.0.0/16")
        address = parse_address(f"http://{text}")
        port = urlsplit(f"http://{text}").port
    except ValueError as error:
        raise ValueError(f"{text!r} is no host, host:port or network ({error})") from error
    if address.ip:
        return _Allowed(network=ip_network(address.ip), port=port)
    return _Allowed(name=address.host, port=port)


def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """The addresses of a name as the operating system knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def find_addresses(
    address: Address, allowed: AllowedHosts, resolve: Resolve = resolve_by_system
) -> list[IPAddress]:
    """
    The addresses of a host, each of them checked.

    Raises:
        AddressRefused: The host is not known, or one of its addresses may not be called. An answer
            with both kinds is an attempt to get around the check.
    """
    if address.ip:
        found: list[IPAddress] = [address.ip]
    else:
        try:
            found = [ip_address(text) for text in resolve(address.host, address.port)]
        except (OSError, ValueError) as error:
            raise AddressRefused("its host is not found") from error
    if not found:
        raise AddressRefused("its host has no address")
    if not allowed.has_name(address):
        for ip in found:
            may_be_called = is_public(ip) and not is_own(ip)
            if not (may_be_called or allowed.has_ip(ip, address.port)):
                raise AddressRefused(f"it leads to {ip}")
    return list(dict.fromkeys(found))
