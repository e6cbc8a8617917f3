"""Who made more requests than he may, and until when: for the header of what he sends next."""

from __future__ import annotations

import math
import threading
import time

from gateway.access.callers import Caller
from shared.errors import TooManyRequests

_MOST = 10_000


class Breaches:
    """
    Callers who were answered 429, until they may come back.

    Requests are counted in Redis when they are there with their body; this remembers what came
    of it, so that a caller's next body is refused from its header, without asking anybody.

    Args:
        site_rate: What holds for callers who have no rate of their own.
    """

    def __init__(self, site_rate: str) -> None:
        self._site_rate = site_rate
        self._lock = threading.Lock()
        self._until: dict[str, tuple[float, str]] = {}

    def rate_of(self, caller: Caller) -> str:
        """What a caller may do, as `60/minute`; "" for anything."""
        return caller.rate or self._site_rate

    def note(self, caller: Caller, address: str | None, until: float) -> TooManyRequests:
        """Remember a caller until a time, in seconds since 1970; what he is told."""
        rate = self.rate_of(caller)
        with self._lock:
            if len(self._until) >= _MOST:
                now = time.time()
                self._until = {name: kept for name, kept in self._until.items() if kept[0] > now}
            if len(self._until) < _MOST:
                self._until[name_of(caller, address)] = until, rate
        return _refusal(until, rate)

    def refusal(self, caller: Caller, address: str | None) -> TooManyRequests | None:
        """What a caller is told who may not come back yet; his rate may have changed since."""
        name = name_of(caller, address)
        with self._lock:
            until, rate = self._until.get(name, (0.0, ""))
            if until > time.time() and rate == self.rate_of(caller):
                return _refusal(until, rate)
            self._until.pop(name, None)
        return None


def name_of(caller: Caller, address: str | None) -> str:
    """Whose requests count together; callers whom nobody names are told apart by address."""
    return f"caller:{caller.owner}" if caller.is_known else f"address:{address}"


def _refusal(until: float, rate: str) -> TooManyRequests:
    seconds = max(1, math.ceil(until - time.time()))
    return TooManyRequests(
        f"this is more than {rate}; come back in {seconds} s", retry_after_s=seconds
    )
