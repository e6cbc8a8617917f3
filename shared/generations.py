"""The generation of a site's models: a number that rises when all must be loaded again."""

from __future__ import annotations

from typing import Any

from redis import Redis

from shared.keys import GENERATION

# At least the present second: then it rises even after Redis lost its data.
_ADVANCE = """
local last = tonumber(redis.call('GET', KEYS[1]) or '0')
local now = tonumber(redis.call('TIME')[1])
local generation = string.format('%d', math.max(last + 1, now))
redis.call('SET', KEYS[1], generation)
return generation
"""


class Generations:
    """The generation of a site's models, in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._script = redis.register_script(_ADVANCE)

    def current(self) -> int:
        """The present generation; 0 until the first reload."""
        value: Any = self._redis.get(GENERATION)
        return int(value or 0)

    def advance(self) -> int:
        """Have workers load each model again before its next job; returns the new generation."""
        value: Any = self._script(keys=[GENERATION])
        return int(value)
