"""
How a live session is written in Redis: the fields of its record, its audio, and the moves.

gateway.live opens a session, writes audio, and gives up or takes over sessions of callers. A worker
claims a session for some seconds, and renews its claim with everything it publishes. Each claim has
a number, the *epoch*: a worker that lost its claim can publish nothing any more.

Audio: the id of an entry is `{sample}-{n}`. `sample` counts the samples of the session up to the
end of the entry; `n` is 0 for audio (field `pcm`: 16-bit little-endian samples, mono, 16 kHz), and
counts from 1 for what the caller asks at this place (field `ask`: `flush` or `end`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.keys import (
    LIVE_AUDIO,
    LIVE_BELL,
    LIVE_GATEWAY,
    LIVE_OWNER,
    LIVE_SAID,
    LIVE_SESSION,
    LIVE_SESSIONS,
    LIVE_UPDATES,
)

LIVE_TTL_S = 120
"""Keys of a session expire after so many seconds in which nobody writes them."""

GATEWAY_TTL_S = 15
"""A gateway.live that has not written its key for so long counts as gone."""

UPDATES_KEPT = 10_000
_BELLS_KEPT = 256
_LOOKED_AT = 100

SAMPLE_BYTES = 2


@dataclass(frozen=True)
class AudioEntry:
    """
    One entry of a session's audio.

    Attributes:
        end: Samples of the session up to the end of this entry.
        number: 0 for audio; else it counts what was asked at this place.
        pcm: 16-bit little-endian samples; empty if something is asked.
        ask: `flush` or `end`; "" for audio.
    """

    end: int
    number: int
    pcm: bytes = b""
    ask: str = ""

    @property
    def start(self) -> int:
        """The first sample of this entry."""
        return self.end - len(self.pcm) // SAMPLE_BYTES

    @property
    def id(self) -> str:
        """The id in the stream."""
        return f"{self.end}-{self.number}"

    @property
    def fields(self) -> dict[str, bytes]:
        """The fields in the stream."""
        return {"ask": self.ask.encode()} if self.ask else {"pcm": self.pcm}

    @classmethod
    def read(cls, entry_id: bytes, fields: dict[bytes, bytes]) -> AudioEntry:
        """
        One entry as Redis gives it.

        >>> AudioEntry.read(b"320-0", {b"pcm": b"abcd"})
        AudioEntry(end=320, number=0, pcm=b'abcd', ask='')
        """
        end, _, number = entry_id.decode().partition("-")
        ask = fields.get(b"ask", b"").decode()
        return cls(int(end), int(number), fields.get(b"pcm", b""), ask)


def as_record(reply: Any) -> dict[str, str]:
    """The fields of a session's hash as text; empty if there is no such session."""
    return {name.decode(): value.decode() for name, value in reply.items()}


_FUNCTIONS = f"""
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local function session(id) return '{LIVE_SESSION.prefix}' .. id end
local function audio(id) return '{LIVE_AUDIO.prefix}' .. id end
local function said(id) return '{LIVE_SAID.prefix}' .. id end
local function owner(name) return '{LIVE_OWNER.prefix}' .. name end
local function ring()
  redis.call('RPUSH', '{LIVE_BELL}', '1')
  redis.call('LTRIM', '{LIVE_BELL}', -{_BELLS_KEPT}, -1)
  redis.call('EXPIRE', '{LIVE_BELL}', 60)
end
local function keep(id)
  redis.call('EXPIRE', session(id), {LIVE_TTL_S})
  redis.call('EXPIRE', audio(id), {LIVE_TTL_S})
  redis.call('EXPIRE', said(id), {LIVE_TTL_S})
end
local function see(id)
  local key = owner(redis.call('HGET', session(id), 'owner'))
  redis.call('ZADD', key, now, id)
  redis.call('EXPIRE', key, {LIVE_TTL_S})
end
local function leave(id)
  local name = redis.call('HGET', session(id), 'owner')
  if name then redis.call('ZREM', owner(name), id) end
  redis.call('ZREM', '{LIVE_SESSIONS}', id)
end
"""

OPEN = (
    _FUNCTIONS
    + f"""
-- ARGV: id, owner, request, model, gateway, most of the site, most of the owner
local id, name = ARGV[1], ARGV[2]
for _, old in ipairs(redis.call('ZRANGEBYSCORE', '{LIVE_SESSIONS}', '-inf', now - 30)) do
  if redis.call('EXISTS', session(old)) == 0 then redis.call('ZREM', '{LIVE_SESSIONS}', old) end
end
redis.call('ZREMRANGEBYSCORE', owner(name), '-inf', now - {LIVE_TTL_S})
if redis.call('ZCARD', '{LIVE_SESSIONS}') >= tonumber(ARGV[6]) then return 'site' end
if redis.call('ZCARD', owner(name)) >= tonumber(ARGV[7]) then return 'owner' end
redis.call('HSET', session(id), 'owner', name, 'request', ARGV[3], 'model', ARGV[4],
           'gateway', ARGV[5], 'created_at', now, 'epoch', 0)
redis.call('ZADD', '{LIVE_SESSIONS}', now, id)
keep(id)
see(id)
ring()
return 'open'
"""
)
"""Gives `open`; or `site` or `owner`, if that one has too many sessions."""

RESUME = (
    _FUNCTIONS
    + f"""
-- ARGV: id, owner, gateway
local id = ARGV[1]
if redis.call('HGET', session(id), 'owner') ~= ARGV[2] then return false end
if not redis.call('ZSCORE', '{LIVE_SESSIONS}', id) then return false end
redis.call('HSET', session(id), 'gateway', ARGV[3])
keep(id)
see(id)
return 1
"""
)
"""Gives 1 if the session goes on with this gateway.live; nothing if the owner has none such."""

TOUCH = (
    _FUNCTIONS
    + """
-- ARGV: id
if redis.call('EXISTS', session(ARGV[1])) == 0 then return 0 end
keep(ARGV[1])
see(ARGV[1])
return 1
"""
)
"""Keeps a session that no worker has at the moment; gives 0 if it is gone."""

FORGET = (
    _FUNCTIONS
    + """
-- ARGV: id
local id = ARGV[1]
leave(id)
redis.call('DEL', session(id), audio(id), said(id))
"""
)
"""Removes a session. A worker that has it notices when it publishes."""

CLAIM = (
    _FUNCTIONS
    + f"""
-- ARGV: worker, lease in seconds, names of the models that it can run (none: any)
local can, any = {{}}, #ARGV == 2
for i = 3, #ARGV do can[ARGV[i]] = true end
local waiting = redis.call('ZRANGEBYSCORE', '{LIVE_SESSIONS}', '-inf', now,
                           'LIMIT', 0, {_LOOKED_AT})
for _, id in ipairs(waiting) do
  local model = redis.call('HGET', session(id), 'model')
  if not model then
    redis.call('ZREM', '{LIVE_SESSIONS}', id)
  elseif any or can[model] then
    local epoch = redis.call('HINCRBY', session(id), 'epoch', 1)
    redis.call('HSET', session(id), 'worker', ARGV[1])
    redis.call('ZADD', '{LIVE_SESSIONS}', now + ARGV[2], id)
    return {{id, epoch}}
  end
end
return false
"""
)
"""Gives the id and the epoch of a session that waits, or whose worker lost it; or nothing."""

PUBLISH = (
    _FUNCTIONS
    + f"""
-- ARGV: id, epoch, lease in seconds, update, whether it committed words or ended segments,
-- state ('' for no change), sample before which no audio is needed, whether it is the last
local id = ARGV[1]
if redis.call('HGET', session(id), 'epoch') ~= ARGV[2] then return -1 end
local gateway = redis.call('HGET', session(id), 'gateway')
local updates = '{LIVE_UPDATES.prefix}' .. gateway
redis.call('XADD', updates, 'MAXLEN', '~', {UPDATES_KEPT}, '*', 'id', id, 'update', ARGV[4])
redis.call('EXPIRE', updates, {LIVE_TTL_S})
if ARGV[5] == '1' then redis.call('RPUSH', said(id), ARGV[4]) end
if ARGV[6] ~= '' then redis.call('HSET', session(id), 'state', ARGV[6]) end
redis.call('XTRIM', audio(id), 'MINID', ARGV[7] .. '-0')
keep(id)
if ARGV[8] == '1' then
  leave(id)
else
  see(id)
  redis.call('ZADD', '{LIVE_SESSIONS}', 'XX', now + ARGV[3], id)
end
return redis.call('EXISTS', '{LIVE_GATEWAY.prefix}' .. gateway)
"""
)
"""
Gives -1 if the worker has lost the session; else whether the gateway.live that serves it is there.
"""

RELEASE = (
    _FUNCTIONS
    + f"""
-- ARGV: id, epoch
if redis.call('HGET', session(ARGV[1]), 'epoch') ~= ARGV[2] then return 0 end
redis.call('ZADD', '{LIVE_SESSIONS}', 'XX', now, ARGV[1])
ring()
return 1
"""
)
"""Gives a session back, for another worker to claim."""
