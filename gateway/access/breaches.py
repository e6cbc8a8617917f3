"""Callers who made more requests than they may, and until when they are refused."""

from __future__ import annotations

import math
import threading
import time

from gateway.access.callers import Caller
from shared.errors import TooManyRequests

_MOST = 10_000


class Breaches:
    """
    Callers who were answered 429, until they may call again.

    Requests are counted in Redis once their body has arrived. This keeps the outcome in memory, so
    that the caller's next request is refused from its header, without asking Redis.

    Args:
        site_rate: The rate of callers who have none of their own.
    """

    def __init__(self, site_rate: str) -> None:
        self._site_rate = site_rate
        self._lock = threading.Lock()
        self._until: dict[str, tuple[float, str]] = {}

    def rate_of(self, caller: Caller) -> str:
        """A caller's rate, as `60/minute`; "" for no limit."""
        return caller.rate or self._site_rate

    def note(self, caller: Caller, address: str | None, until: float) -> TooManyRequests:
        """Refuse a caller until a time, in seconds since 1970. Returns the error to answer now."""
        rate = self.rate_of(caller)
        with self._lock:
            if len(self._until) >= _MOST:
                now = time.time()
                self._until = {name: kept for name, kept in self._until.items() if kept[0] > now}
            if len(self._until) < _MOST:
                self._until[name_of(caller, address)] = until, rate
        return _refusal(until, rate)

    def refusal(self, caller: Caller, address: str | None) -> TooManyRequests | None:
        """The error for a caller who may not call yet; None if they may, or their rate changed."""
        name = name_of(caller, address)
        with self._lock:
            until, rate = self._until.get(name, (0.0, ""))
            if until > time.time() and rate == self.rate_of(caller):
                return _refusal(until, rate)
            self._until.pop(name, None)
        return None


def name_of(caller: Caller, address: str | None) -> str:
    """The name under which a caller's requests are counted; the address if the caller has none."""
    return f"caller:{caller.owner}" if caller.is_known else f"address:{address}"


def _refusal(until: float, rate: str) -> TooManyRequests:
    seconds = max(1, math.ceil(until - time.time()))
    return TooManyRequests(
        f"this is more than {rate}; come back in {seconds} s", retry_after_s=seconds
    )
