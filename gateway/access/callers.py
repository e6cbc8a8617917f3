"""Who calls: the holder of a key, a user that a trusted proxy names, or somebody unknown."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from gateway.access.headers import AZURE_KEY_HEADER, KEY_HEADER, USER_HEADER, Headers
from gateway.access.keys import KEY_PREFIX, ApiKeys, KeyFileError, Role, read_keys
from gateway.access.names import refuse_other_names
from gateway.access.origins import Origins
from shared.errors import Forbidden, InvalidRequest, Unauthorized
from shared.records import DEFAULT_OWNER

if TYPE_CHECKING:
    from gateway.settings import GatewaySettings

_LONGEST_NAME = 200
_KEY_SCHEMES = ("bearer", "token")
_BASIC = "basic"
# A browser sends no header of our choosing for EventSource, WebSocket and `<audio src>`.
_TOKEN_PATHS = re.compile(r"/events|/jobs/[^/]+/(?:events|audio)|/ws/.+")
_LIVE_PATHS = ("/", "/asr", "/v1/listen", "/v1/realtime", "/v1/audio/transcriptions")
_KEY_PROTOCOL = "openai-insecure-api-key."

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Caller:
    """
    Who calls.

    Attributes:
        owner: The owner of the jobs they make and may see.
        role: `admin` may also do what concerns the whole site.
        rate: The rate of their key; None for the site's own rate.
        is_known: Whether a key or a proxy names them; all others share one owner.
        has_key: Whether they sent a key, in a form that no browser sends by itself.
    """

    owner: str
    role: Role
    rate: str | None = None
    is_known: bool = True
    has_key: bool = False


class Access:
    """
    Finds out who makes a request. It asks no other process.

    Args:
        host: The address that the server listens on. If only this machine reaches it, callers
            without a key have to call it by one of its own names.
    """

    def __init__(self, settings: GatewaySettings, *, host: str) -> None:
        self._needs_key = settings.auth == "keys"
        self._keys = ApiKeys(settings.api_keys_file)
        self._proxies = settings.trusted_networks
        self._admins = settings.admin_names
        self._names = settings.listed_names if is_loopback(host) else None

    def identify(self, *, headers: Headers, peer: str | None, token: str | None = None) -> Caller:
        """
        Find out who makes a request.

        Args:
            peer: The address of the connection, whatever headers say.
            token: A key from the query; only where `takes_token`.

        Raises:
            Unauthorized: The key is not valid, or there is none and the site needs one.
            Forbidden: The request calls this machine by a name that is not its own.
            InvalidRequest: A trusted proxy sends an unusable name.
        """
        if caller := self.by_key(headers=headers, token=token):
            return caller
        user = user_name(headers, peer, self._proxies)
        if self._needs_key and user is None:
            raise Unauthorized(
                "this site needs a key: send `Authorization: Bearer <key>` or `X-API-Key: <key>`, "
                "or the key as the password of HTTP basic"
            )
        if self._names is not None:
            refuse_other_names(headers, self._names)
        if user is None:
            return Caller(DEFAULT_OWNER, "admin", is_known=False)
        is_admin = not self._needs_key or user in self._admins
        return Caller(user, "admin" if is_admin else "user")

    def by_key(self, *, headers: Headers, token: str | None = None) -> Caller | None:
        """
        The holder of the key that a request shows; None if it shows none, or keys are off.

        Raises:
            Unauthorized: A key is not valid, even if another check would let the caller in.
        """
        shown = shown_keys(headers, token) if self._needs_key else []
        found = [self._keys.find(key) for key in shown]
        if None in found or len({key.name for key in found if key}) > 1:
            raise Unauthorized("the key is not valid; it may have been revoked")
        for key in found:
            if key is not None:
                has_key = len(shown) > (_password_key(headers) is not None)
                return Caller(key.name, key.role, key.rate, has_key=has_key)
        return None


def shown_keys(headers: Headers, token: str | None = None) -> list[str]:
    """
    Every key a request shows.

    A password of HTTP basic counts if it looks like a key of ours; others are for a proxy. The user
    name beside it is ignored.

    >>> shown_keys({"Authorization": "Token k1", "X-API-Key": "k2"}, "k3")
    ['k1', 'k2', 'k3']
    >>> [shown_keys({"Authorization": a}) for a in ("bearer k", "k", "Basic YTpi", "Bearer ")]
    [['k'], ['k'], [], ['Bearer']]
    >>> shown_keys({"Authorization": "Basic YW55Ym9keTpsaF8x", "api-key": "k"})
    ['lh_1', 'k']
    """
    scheme, _, rest = (headers.get("Authorization") or "").strip().partition(" ")
    bare = "" if rest or scheme.lower() == _BASIC else scheme
    in_scheme = rest.strip() if scheme.lower() in _KEY_SCHEMES else ""
    in_scheme = in_scheme or _password_key(headers) or ""
    own = headers.get(KEY_HEADER), headers.get(AZURE_KEY_HEADER)
    return [key for key in (bare or in_scheme, *own, token) if key]


def _password_key(headers: Headers) -> str | None:
    """The password of HTTP basic (RFC 7617), if it looks like a key."""
    scheme, _, rest = (headers.get("Authorization") or "").strip().partition(" ")
    if scheme.lower() != _BASIC:
        return None
    try:
        password = base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return None
    return password if password.startswith(KEY_PREFIX) else None


def user_name(
    headers: Headers, peer: str | None, proxies: Sequence[IPv4Network | IPv6Network]
) -> str | None:
    """
    The user that a trusted proxy names; None if there is no such proxy or it names nobody.

    Raises:
        InvalidRequest: The name is too long or not printable.
    """
    if not is_trusted(peer, proxies):
        return None
    # WSGI gives headers as Latin-1, whatever they were written in (PEP 3333).
    name = (headers.get(USER_HEADER) or "").encode("latin-1").decode("utf-8", "replace")
    if len(name) > _LONGEST_NAME or not name.isprintable():
        raise InvalidRequest(f"{USER_HEADER} is no name: at most {_LONGEST_NAME} printable letters")
    return name or None


def is_trusted(address: str | None, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """
    Whether a peer is a trusted proxy.

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


def takes_token(path: str) -> bool:
    """
    Whether a path takes the key from the query too, since browsers can send no header there.

    >>> [takes_token(path) for path in ("/jobs/1/audio", "/ws/jobs/1", "/jobs/1", "/jobs")]
    [True, True, False, False]
    """
    return _TOKEN_PATHS.fullmatch(path) is not None


def token_in(uri: str, method: str, *, is_websocket: bool = False) -> str | None:
    """
    The key in the query of a request that may have it there; None if there is none.

    A WebSocket for live speech may have it there too.

    >>> token_in("/asr?token=k", "GET", is_websocket=True), token_in("/asr?token=k", "GET")
    ('k', None)

    >>> token_in("/events?token=k", "GET"), token_in("/jobs?token=k", "GET")
    ('k', None)

    Two keys count as none, since one server would read the first and another the last.

    >>> token_in("/events?token=k&token=", "GET")
    """
    path, _, query = uri.partition("?")  # as servers split it
    is_live = is_websocket and path in _LIVE_PATHS
    if method not in ("GET", "HEAD") or not (is_live or takes_token(path)):
        return None
    found = parse_qs(query, keep_blank_values=True).get("token", [])
    return found[0] if len(found) == 1 else None


def protocol_key(offered: str) -> str | None:
    """
    The key among the subprotocols that a WebSocket offers; None if there is none.

    Args:
        offered: The header `Sec-WebSocket-Protocol` (RFC 6455, 11.3.4).

    >>> [protocol_key(sent) for sent in ("bearer, k", "token,k", "realtime, openai-beta.v1", "")]
    ['k', 'k', None, None]
    >>> protocol_key("realtime, openai-insecure-api-key.k, openai-beta.realtime-v1")
    'k'
    """
    names = [name.strip() for name in offered.split(",")]
    match names:
        case [scheme, key] if scheme.lower() in _KEY_SCHEMES:
            return key or None
    found = [name.removeprefix(_KEY_PROTOCOL) for name in names if name.startswith(_KEY_PROTOCOL)]
    return found[0] if len(found) == 1 and found[0] else None


def refuse_untrusted_page(caller: Caller, origins: Origins, method: str, headers: Headers) -> None:
    """
    Refuse a change on behalf of a user, if any site could have made the page that asks for it.

    Args:
        method: The request's; a WebSocket counts as `POST`.

    Raises:
        Forbidden: It is such a page, and the request shows no key.
    """
    if caller.is_known and not caller.has_key and origins.is_untrusted_page(method, headers):
        raise Forbidden(
            "a page without an origin, or of one that is not listed by name, may change nothing in "
            "the name of a user: every site can make such a page, and browsers lend it the "
            "password; send a key"
        )


def warn_of_access(settings: GatewaySettings, host: str) -> None:
    """Log a warning at the start if everybody may use the site, or if nobody can."""
    if settings.auth == "keys":
        try:
            read_keys(settings.api_keys_file)
        except (OSError, KeyFileError) as error:
            _log.error("LONGHAND_API_KEYS_FILE cannot be read, so no key is valid: %s", error)
    if settings.auth == "off" and not is_loopback(host):
        _log.warning(
            "LONGHAND_AUTH is off and this listens on %s: everybody who reaches it may use it. Let "
            "only a proxy that asks who they are reach it, or set LONGHAND_AUTH=keys",
            host,
        )


def is_loopback(host: str) -> bool:
    """
    Whether only this machine reaches a listener.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "gateway")]
    [True, True, True, False, False]
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
