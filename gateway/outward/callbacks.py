"""Checks a `callback_url` before a job is made."""

from __future__ import annotations

from gateway.outward.addresses import AddressRefused, is_public, parse_address
from gateway.outward.settings import OutwardSettings
from shared.errors import InvalidRequest

_FIELD = "callback_url"


def check_callback_url(settings: OutwardSettings, url: str) -> None:
    """
    Refuse a `callback_url` that no message could be sent to.

    Raises:
        InvalidRequest: The site sends no messages, or may not call the URL.
    """
    if settings.webhook_secret is None:
        raise InvalidRequest(
            "callback_url cannot be used: this site sends no messages, for it has no key to sign "
            "them with (LONGHAND_WEBHOOK_SECRET)",
            param=_FIELD,
        )
    try:
        address = parse_address(url)
    except AddressRefused as error:
        raise InvalidRequest(f"callback_url cannot be called: {error}", param=_FIELD) from error
    allowed = settings.reachable_hosts
    if address.ip and not (is_public(address.ip) or allowed.has_ip(address.ip, address.port)):
        raise InvalidRequest(
            "callback_url names an address that is not public (LONGHAND_ALLOWED_HOSTS)",
            param=_FIELD,
        )
