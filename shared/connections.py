"""Connections to Redis: the gateway stops trying soon, a worker after minutes."""

from __future__ import annotations

from typing import Any

from redis import Redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry


def connect_briefly(url: str) -> Redis:
    """A client for the gateway, whose callers wait: it raises after two tries, about 3 s."""
    retry = Retry(ExponentialWithJitterBackoff(cap=0.5, base=0.05), 2)
    return Redis.from_url(
        url, retry=retry, socket_connect_timeout=1, socket_timeout=3, health_check_interval=15
    )


def connect_patiently(url: str, *, socket_timeout_s: float = 10) -> Redis:
    """
    A client that waits while Redis restarts: 60 tries, up to 3 s apart.

    redis-py itself tries ten times. In an outage of 30 s a worker's process would then
    end, and lose what its jobs have done.
    """
    retry = Retry(ExponentialWithJitterBackoff(cap=3, base=0.2), 60)
    return Redis.from_url(
        url,
        retry=retry,
        socket_connect_timeout=3,
        socket_timeout=socket_timeout_s,
        health_check_interval=30,
    )


def redis_time(redis: Redis) -> float:
    """Seconds since the epoch by the clock of Redis, which is the same for all hosts of a site."""
    seconds, micros = redis.time()
    return float(seconds) + float(micros) / 1e6


def as_texts(reply: Any) -> list[str]:
    """
    A Redis reply that is a list of byte strings, as text.

    >>> as_texts([b"a", b"b"])
    ['a', 'b']
    """
    return [item.decode() for item in reply]
