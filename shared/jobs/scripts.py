"""The scripts that change a job's record; `shared.jobs.moves` says what each takes and returns."""

from __future__ import annotations

from shared.keys import (
    ABANDONED,
    ENDED,
    EVENTS,
    EVENTS_KEPT,
    FOLLOWERS,
    JOB,
    LEASES,
    QUEUED,
    SETTLING,
    TOTALS,
    WEBHOOKS,
)

_PRELUDE = f"""
local function key(id) return '{JOB.prefix}' .. id end
local function followers(id) return key(id) .. '{FOLLOWERS.suffix}' end
local function queued(priority) return '{QUEUED.prefix}' .. priority end
local function is_final(status) return status ~= 'queued' and status ~= 'running' end
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local function null(value)
  if value == false or value == '' then return cjson.null end
  return value
end
local function number(value) return null(value) == cjson.null and cjson.null or tonumber(value) end
-- Tells the owner of `id` how the run `run` stands, or `status` if one is given.
local function tell(id, run, status)
  local v = redis.call('HMGET', key(run), 'status', 'stage', 'progress', 'audio_done_s', 'eta_s',
                       'attempt', 'error', 'warnings')
  local data = {{job_id = id, status = status or v[1], stage = null(v[2]), progress = number(v[3]),
                audio_done_s = number(v[4]), eta_s = number(v[5]), attempt = number(v[6])}}
  if v[7] and v[7] ~= '' then data.error = cjson.decode(v[7]) end
  if v[8] and #v[8] > 2 then data.warnings = cjson.decode(v[8]) end
  redis.call('XADD', '{EVENTS}', 'MAXLEN', '~', {EVENTS_KEPT}, '*', 'job', id,
             'owner', redis.call('HGET', key(id), 'owner') or '', 'type', 'job',
             'data', cjson.encode(data))
end
-- Whether the caller of a job went away, and has not come back.
local function is_abandoned(id) return redis.call('ZSCORE', '{ABANDONED}', id) end
-- What follows from the end of a job as its owner sees it.
local function close(id, status)
  redis.call('ZREM', '{ABANDONED}', id)
  redis.call('ZADD', '{ENDED}', now, id)
  redis.call('HINCRBY', '{TOTALS}', 'jobs:' .. status, 1)
  local url = redis.call('HGET', key(id), 'callback_url')
  if url and url ~= '' then redis.call('ZADD', '{WEBHOOKS}', now, id) end
end
"""

MOVE = (
    _PRELUDE
    + f"""
-- KEYS  job, chunks done
-- ARGV  id, statuses to move from, attempt or '', condition ('expired': its lease must have run
--       out; 'released': its owner must have left it; or ''), status to move to, lease in
--       seconds, move, then field, value, field, value ...
local v = redis.call('HMGET', KEYS[1], 'status', 'attempt', 'move', 'priority', 'released')
local status, attempt, move, released = v[1], v[2], v[3], v[5]
local waiting = queued(v[4] or 'normal')
if not status then return 'missing' end
-- A client that lost the answer asks again.
if move == ARGV[7] then return 'moved' end
if not string.find(ARGV[2], status, 1, true) then return status end
if ARGV[3] ~= '' and ARGV[3] ~= attempt then return 'superseded' end
-- Its owner has come back to it.
if ARGV[4] == 'released' and (not v[5] or v[5] == '') then return 'kept' end
if ARGV[4] == 'expired' then
  local until_ = redis.call('ZSCORE', '{LEASES}', ARGV[1])
  if until_ and tonumber(until_) > now then return 'leased' end
end
local to = ARGV[5]
redis.call('HSET', KEYS[1], 'status', to, 'moved_at', now, 'move', ARGV[7])
for i = 8, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
if to == 'running' then
  if status == 'queued' then redis.call('HSET', KEYS[1], 'started_at', now) end
  redis.call('ZADD', '{LEASES}', now + ARGV[6], ARGV[1])
else
  redis.call('ZREM', '{LEASES}', ARGV[1])
end
if to == 'queued' then
  redis.call('ZADD', waiting, now, ARGV[1])
  redis.call('ZREM', '{ENDED}', ARGV[1])
  redis.call('ZREM', '{WEBHOOKS}', ARGV[1])
  redis.call('ZREM', '{SETTLING}', ARGV[1])
else redis.call('ZREM', waiting, ARGV[1]) end
if is_final(to) then
  redis.call('HSET', KEYS[1], 'ended_at', now, 'eta_s', '')
  redis.call('DEL', KEYS[2])
  if not released or released == '' then close(ARGV[1], to) end
  if redis.call('SCARD', followers(ARGV[1])) > 0 then
    redis.call('ZADD', '{SETTLING}', now, ARGV[1])
  end
  local r = redis.call('HMGET', KEYS[1], 'stages_s', 'audio', 'started_at')
  if to == 'succeeded' then
    redis.call('HINCRBYFLOAT', '{TOTALS}', 'audio_s', cjson.decode(r[2]).duration_s)
    redis.call('HINCRBYFLOAT', '{TOTALS}', 'work_s', now - r[3])
  end
  if r[1] and r[1] ~= '' then
    for stage, seconds in pairs(cjson.decode(r[1])) do
      redis.call('HINCRBYFLOAT', '{TOTALS}', 'stage_s:' .. stage, seconds)
      redis.call('HINCRBY', '{TOTALS}', 'stage_n:' .. stage, 1)
    end
  end
end
if #ARGV > 7 or status ~= to then
  if not released or released == '' then tell(ARGV[1], ARGV[1]) end
  -- Those who follow learn of the end when they have the result: see `settle`.
  if not is_final(to) then
    for _, id in ipairs(redis.call('SMEMBERS', followers(ARGV[1]))) do tell(id, ARGV[1]) end
  end
end
return 'moved'
"""
)

ENTER = (
    _PRELUDE
    + f"""
-- KEYS  job, owner's index
-- ARGV  id, cache entry or '', idempotency entry or '', fingerprint, seconds an idempotency
--       entry lasts, then field, value, field, value ...
local id, cache, idempotency = ARGV[1], ARGV[2], ARGV[3]
if redis.call('EXISTS', KEYS[1]) == 1 then -- a client that lost the answer asks again
  local there = redis.call('HMGET', KEYS[1], 'status', 'follows')
  if is_final(there[1]) then return {{'done', ''}} end
  if there[2] and there[2] ~= '' then return {{'follow', there[2]}} end
  return {{'lead', ''}}
end
if idempotency ~= '' then
  local kept = redis.call('HMGET', idempotency, 'job', 'fingerprint')
  local was = kept[1] and redis.call('HMGET', key(kept[1]), 'id', 'released', 'abandoned')
  -- One that was deleted, or given up because its caller had gone, is made anew.
  if was and was[1] and was[2] ~= 'deleted' and was[3] ~= '1' then
    if kept[2] ~= ARGV[4] then return {{'mismatch', kept[1]}} end
    redis.call('ZREM', '{ABANDONED}', kept[1])
    return {{'same', kept[1]}}
  end
end
for i = 6, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
local status = redis.call('HGET', KEYS[1], 'status')
local outcome, run = 'lead', ''
if is_final(status) then
  outcome = 'done'
elseif cache ~= '' then
  run = redis.call('GET', cache) or ''
  local found = redis.call('HMGET', key(run), 'status', 'flawed')
  local theirs = found[1]
  if theirs == 'succeeded' and not found[2] then
    redis.call('DEL', KEYS[1])
    return {{'finished', run}}
  elseif theirs and not is_final(theirs) then
    outcome = 'follow'
  end
end
if idempotency ~= '' then
  redis.call('HSET', idempotency, 'job', id, 'fingerprint', ARGV[4])
  redis.call('EXPIRE', idempotency, ARGV[5])
end
redis.call('ZADD', KEYS[2], redis.call('HGET', KEYS[1], 'created_at'), id)
if outcome == 'lead' then
  redis.call('ZADD', queued(redis.call('HGET', KEYS[1], 'priority')), now, id)
  if cache ~= '' then
    redis.call('SET', cache, id)
    redis.call('HSET', KEYS[1], 'cache', cache)
  end
else
  redis.call('HINCRBY', '{TOTALS}', 'cache_hits', 1)
  if outcome == 'follow' then
    redis.call('HSET', KEYS[1], 'follows', run)
    redis.call('SADD', followers(run), id)
  else
    close(id, status)
  end
end
tell(id, outcome == 'follow' and run or id)
return {{outcome, run}}
"""
)

LEAVE = (
    _PRELUDE
    + """
-- KEYS  job
-- ARGV  id, 'cancelled' or 'deleted', '1' if nobody said so but he has gone, or ''
-- What its owner wants no more ends for him; its run goes on while others follow it.
local v = redis.call('HMGET', KEYS[1], 'status', 'follows', 'released')
local status, run, released = v[1], v[2], v[3]
if not status then return {'missing', ''} end
-- He deleted it: cancelling it a moment later does not bring it back.
if released == 'deleted' and ARGV[2] == 'cancelled' then return {'ended', ''} end
if ARGV[3] == '1' and not is_abandoned(ARGV[1]) then return {'ended', ''} end
if ARGV[3] == '1' and not is_final(status) then redis.call('HSET', KEYS[1], 'abandoned', '1') end
-- Nobody follows it from now on.
local function forget(id)
  local entry = redis.call('HGET', key(id), 'cache')
  if entry and redis.call('GET', entry) == id then redis.call('DEL', entry) end
end
if run and run ~= '' and not is_final(status) then
  redis.call('HSET', KEYS[1], 'status', 'cancelled', 'ended_at', now)
  close(ARGV[1], 'cancelled')
  redis.call('SREM', followers(run), ARGV[1])
  tell(ARGV[1], ARGV[1])
  local theirs = redis.call('HMGET', key(run), 'released', 'status')
  if redis.call('SCARD', followers(run)) == 0 and theirs[1] and theirs[1] ~= ''
     and not is_final(theirs[2]) then
    forget(run)
    return {'last', run}
  end
  return {'left', ''}
end
local is_followed = redis.call('SCARD', followers(ARGV[1])) > 0
if is_followed and (ARGV[2] == 'deleted' or not is_final(status)) then
  if released == 'cancelled' and ARGV[2] == 'cancelled' then return {'ended', ''} end
  if released ~= ARGV[2] then redis.call('HSET', KEYS[1], 'released', ARGV[2]) end
  if not released or released == '' then
    redis.call('HSET', KEYS[1], 'released_at', now)
    if not is_final(status) then
      close(ARGV[1], 'cancelled')
      tell(ARGV[1], ARGV[1], 'cancelled')
    end
  end
  return {'released', ''}
end
if is_final(status) and ARGV[2] ~= 'deleted' then return {'ended', ''} end
forget(ARGV[1])
return {is_final(status) and 'ended' or 'alone', ''}
"""
)

SETTLE = (
    _PRELUDE
    + """
-- KEYS  job, run it follows
-- ARGV  id, run's id, result key or ''
-- What became of the run becomes the job's own, unless it was begun again meanwhile.
if not is_final(redis.call('HGET', KEYS[2], 'status')) then return 'unfinished' end
redis.call('SREM', followers(ARGV[2]), ARGV[1])
local status = redis.call('HGET', KEYS[1], 'status')
if not status or is_final(status) then return 'gone' end
local names = {'status', 'attempt', 'started_at', 'ended_at', 'stage', 'progress', 'audio_done_s',
               'stages_s', 'worker', 'error', 'warnings'}
local values = redis.call('HMGET', KEYS[2], unpack(names))
for i, name in ipairs(names) do
  if values[i] then redis.call('HSET', KEYS[1], name, values[i]) end
end
redis.call('HSET', KEYS[1], 'result_key', ARGV[3])
-- It was waited for from when it came, not from when another's run began.
local times = redis.call('HMGET', KEYS[1], 'created_at', 'started_at')
if times[2] and tonumber(times[2]) < tonumber(times[1]) then
  redis.call('HSET', KEYS[1], 'started_at', times[1])
end
close(ARGV[1], values[1])
tell(ARGV[1], ARGV[1])
return 'settled'
"""
)

UNRELEASE = (
    _PRELUDE
    + f"""
-- KEYS  job
-- ARGV  id
if redis.call('HGET', KEYS[1], 'released') ~= 'cancelled' then return 0 end
redis.call('HDEL', KEYS[1], 'released', 'released_at', 'abandoned')
redis.call('ZREM', '{WEBHOOKS}', ARGV[1])
redis.call('ZREM', '{ENDED}', ARGV[1])
local status = redis.call('HGET', KEYS[1], 'status')
if is_final(status) then close(ARGV[1], status) end
tell(ARGV[1], ARGV[1])
return 1
"""
)

EDIT = """
-- KEYS  job
-- ARGV  field, value, field, value ...
-- A job that was deleted a moment ago does not come back.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if #ARGV > 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
return 1
"""
