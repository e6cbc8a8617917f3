"""
A caller's URL taken apart, and which IP addresses are public.

The gateway fetches such a URL, and it can reach hosts that the caller cannot: the machine itself,
its neighbours, a cloud's metadata (server-side request forgery). So it fetches only from public
addresses and from those that the operator allows, and connects to the same address that it checked.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, quote, urljoin, urlsplit

IPAddress = IPv4Address | IPv6Address

PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 4000
_LONGEST_HOST = 253
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_LOOKS_LIKE_A_NUMBER = re.compile(r"([0-9]+|0x[0-9a-f]*)")
_KEPT_IN_A_PATH = "%/:?#[]@!$&'()*+,;=~"

_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, and one cloud's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's services for its own machines
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",  # Teredo tunnels and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4: holds any IPv4 address
        "3fff::/20",
    )
)
"""The networks of IANA's special-purpose registries that are not globally reachable."""

_UNICAST = IPv6Network("2000::/3")
"""IPv6's global unicast addresses."""

_NAT64 = IPv6Network("64:ff9b::/96")


class AddressRefused(ValueError):
    """A URL, or an address of its host, that may not be called. The reason is for the log."""


@dataclass(frozen=True)
class Address:
    """
    A URL taken apart.

    Attributes:
        host: In lower case, without a dot at its end; an IP address in its usual spelling.
        target: Path and query, as in an HTTP request line.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def netloc(self) -> str:
        """The `Host` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def place(self) -> str:
        """The part that may be logged: path and query often hold a secret."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def ip(self) -> IPAddress | None:
        """The host as an IP address; None if it is a name."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    def join(self, location: str) -> Address:
        """
        The address to which a redirect leads.

        Raises:
            AddressRefused: It is not a URL that may be fetched.
        """
        try:
            return parse_address(urljoin(f"{self.place}{self.target}", location))
        except ValueError as error:
            raise AddressRefused(str(error)) from error


def parse_address(url: str) -> Address:
    """
    Take a URL apart strictly: one that programs read in different ways is refused.

    Raises:
        AddressRefused: It is not an http or https URL with a plain host.

    >>> parse_address("https://Media.example:8443/a talk.mp3?sig=1")
    Address(scheme='https', host='media.example', port=8443, target='/a%20talk.mp3?sig=1')
    >>> parse_address("http://0177.0.0.1/")
    Traceback (most recent call last):
    gateway.outward.addresses.AddressRefused: the host is an IP address in an unusual spelling
    """
    url = url.strip(" ")
    if len(url) > _LONGEST_URL:
        raise AddressRefused(f"it is longer than {_LONGEST_URL} characters")
    if re.search(r"[\x00-\x1f\x7f\\]", url):
        raise AddressRefused("it holds a control character or a backslash")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressRefused("it is no URL") from error
    if parts.scheme not in PORTS or not parts.netloc:
        raise AddressRefused("it does not begin with http:// or https://")
    if "@" in parts.netloc:
        raise AddressRefused("it holds a user name or a password")
    if port == 0:
        raise AddressRefused("port 0 is none")
    return Address(parts.scheme, _read_host(parts), port or PORTS[parts.scheme], _target(parts))


def _target(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe=_KEPT_IN_A_PATH)
    return f"{path}?{quote(parts.query, safe=_KEPT_IN_A_PATH)}" if parts.query else path


def _read_host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if "[" in parts.netloc:
        try:
            return str(IPv6Address(host if "%" not in host else ""))
        except ValueError as error:
            raise AddressRefused("the host is no IPv6 address") from error
    if len(host) > _LONGEST_HOST:
        raise AddressRefused("the host is too long")
    try:
        # IDNA turns other alphabets, and full-width letters and digits, into ASCII.
        name = host.encode("idna").decode().lower().removesuffix(".")
    except UnicodeError as error:
        raise AddressRefused("the host is no name") from error
    if not _NAME.fullmatch(name):
        raise AddressRefused("the host is no name")
    if _LOOKS_LIKE_A_NUMBER.fullmatch(name.rpartition(".")[2]):
        # A resolver reads 127.1, 0x7f.0.0.1, 0177.0.0.1 and 2130706433 as addresses.
        try:
            return str(IPv4Address(name))
        except ValueError as error:
            raise AddressRefused("the host is an IP address in an unusual spelling") from error
    return name


def is_public(ip: IPAddress) -> bool:
    """
    Whether an address is globally reachable.

    >>> [is_public(ip_address(a)) for a in ("93.184.215.14", "2606:2800::1", "64:ff9b::808:808")]
    [True, True, True]
    >>> [is_public(ip_address(a)) for a in ("10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1")]
    [False, False, False]
    """
    ip = _carried(ip)
    if isinstance(ip, IPv6Address) and ip not in _UNICAST:
        return False
    return not any(ip in network for network in _NOT_PUBLIC)


def is_own(ip: IPAddress) -> bool:
    """
    Whether an address is this machine's own: a program there may listen only for local callers.

    Nothing is sent: to connect a datagram socket only looks up the route.
    """
    ip = _carried(ip)
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(ip), 9))
            return bool(probe.getsockname()[0] == str(ip))
        except OSError:  # there is no route
            return False


def _carried(ip: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 address holds; else the address itself."""
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped:
            return ip.ipv4_mapped
        if ip in _NAT64:
            return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip
