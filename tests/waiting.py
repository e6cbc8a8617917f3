"""Waiting for something to happen, never for time to pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_S = 0.02


def wait_until(predicate: Callable[[], T], deadline_s: float, what: str = "") -> T:
    """
    Wait until `predicate()` is true and return what it gave.

    Raises:
        AssertionError: It was still false after `deadline_s`.
    """
    deadline = time.monotonic() + deadline_s
    while not (value := predicate()):
        name = what or getattr(predicate, "__name__", "condition")
        assert time.monotonic() < deadline, f"{name}: still {value!r} after {deadline_s} s"
        time.sleep(_POLL_S)
    return value
