"""The scripts that change jobs and runs; `shared.jobs.moves` says what each takes and returns."""

from __future__ import annotations

from shared.jobs.lua import FUNCTIONS
from shared.keys import ABANDONED, JOBS, LEASES, SETTLING, TOTALS

MOVE = (
    FUNCTIONS
    + f"""
-- KEYS  run
-- ARGV  id, status to move from, attempt, 'expired' if its lease must have run out or '',
--       status to move to, lease in seconds, move, then field, value, field, value ...
local id, to = ARGV[1], ARGV[5]
adopt(id)
local status, attempt, move = unpack(redis.call('HMGET', KEYS[1], 'status', 'attempt', 'move'))
if not status then return 'missing' end
-- A client that lost the answer asks again.
if move == ARGV[7] then return 'moved' end
if status ~= ARGV[2] then return status end
if ARGV[3] ~= attempt then return 'superseded' end
if ARGV[4] == 'expired' then
  local lease_end = redis.call('ZSCORE', '{LEASES}', id)
  if lease_end and tonumber(lease_end) > now then return 'leased' end
end
redis.call('HSET', KEYS[1], 'status', to, 'move', ARGV[7])
for i = 8, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
if is_final(to) then
  stop(id, to)
  redis.call('ZADD', '{SETTLING}', now, id)
  if to == 'succeeded' then
    local r = redis.call('HMGET', KEYS[1], 'audio', 'started_at')
    redis.call('HINCRBYFLOAT', '{TOTALS}', 'audio_s', cjson.decode(r[1]).duration_s)
    redis.call('HINCRBYFLOAT', '{TOTALS}', 'work_s', now - r[2])
  end
  return 'moved'
end
if to == 'running' then
  if status == 'queued' then redis.call('HSET', KEYS[1], 'started_at', now) end
  redis.call('ZADD', '{LEASES}', now + ARGV[6], id)
  redis.call('ZREM', queue_of(id), id)
else
  redis.call('ZREM', '{LEASES}', id)
  redis.call('ZADD', queue_of(id), now, id)
end
if #ARGV > 7 or status ~= to then
  for _, each in ipairs(redis.call('SMEMBERS', jobs_of(id))) do
    if is_final(redis.call('HGET', job(each), 'status')) then
      leave(id, each) -- a gateway of an older version ended or deleted it
    else
      show(id, each)
      tell(each)
    end
  end
end
return 'moved'
"""
)

ENTER = (
    FUNCTIONS
    + f"""
-- KEYS  job, owner's index
-- ARGV  id, cache entry or '', idempotency entry or '', fingerprint, seconds an idempotency
--       entry lasts, then field, value, field, value ...
local id, cache, idempotency = ARGV[1], ARGV[2], ARGV[3]
local before, its_run = unpack(redis.call('HMGET', KEYS[1], 'status', 'run'))
if before then -- a client that lost the answer asks again
  if is_final(before) then return {{'done', ''}} end
  if its_run ~= id then return {{'follow', its_run}} end
  return {{'lead', ''}}
end
if idempotency ~= '' then
  local made, fingerprint = unpack(redis.call('HMGET', idempotency, 'job', 'fingerprint'))
  local known = redis.call('HMGET', job(made or ''), 'id', 'abandoned', 'released')
  -- A job that was deleted, or cancelled because its caller was gone, is made anew.
  if known[1] and known[2] ~= '1' and known[3] ~= 'deleted' then
    if fingerprint ~= ARGV[4] then return {{'mismatch', made}} end
    redis.call('ZREM', '{ABANDONED}', made)
    return {{'same', made}}
  end
end
for i = 6, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
local status = redis.call('HGET', KEYS[1], 'status')
local outcome, shared = 'lead', ''
if is_final(status) then
  outcome = 'done'
elseif cache ~= '' then
  shared = redis.call('GET', cache) or ''
  if is_final(redis.call('HGET', job(shared), 'status')) then adopt(shared) end
  local stands, is_flawed = unpack(redis.call('HMGET', run(shared), 'status', 'flawed'))
  if stands == 'succeeded' and not is_flawed then
    redis.call('DEL', KEYS[1])
    return {{'finished', shared}}
  elseif stands and not is_final(stands) then
    outcome = 'follow'
  end
end
if idempotency ~= '' then
  redis.call('HSET', idempotency, 'job', id, 'fingerprint', ARGV[4])
  redis.call('EXPIRE', idempotency, ARGV[5])
end
redis.call('ZADD', KEYS[2], redis.call('HGET', KEYS[1], 'created_at'), id)
if outcome == 'lead' then
  begin(id, 1)
  if cache ~= '' then
    redis.call('SET', cache, id)
    redis.call('HSET', run(id), 'cache', cache)
  end
  tell(id)
else
  redis.call('HINCRBY', '{TOTALS}', 'cache_hits', 1)
  if outcome == 'follow' then
    join(shared, id)
    tell(id)
  else
    close(id, status)
  end
end
return {{outcome, shared}}
"""
)

LEAVE = (
    FUNCTIONS
    + f"""
-- KEYS  job
-- ARGV  id, '1' if it must be abandoned still or '', move
local id = ARGV[1]
if (redis.call('HGET', KEYS[1], 'follows') or '') == '' then adopt(id) end
local status, run_id, move = unpack(redis.call('HMGET', KEYS[1], 'status', 'run', 'move'))
if not status then return 'missing' end
if move == ARGV[3] then return 'left' end -- a client that lost the answer asks again
if is_final(status) then return 'ended' end
if ARGV[2] == '1' then
  if not redis.call('ZSCORE', '{ABANDONED}', id) then return 'ended' end -- the caller is back
  redis.call('HSET', KEYS[1], 'abandoned', '1')
end
redis.call('HSET', KEYS[1], 'status', 'cancelled', 'ended_at', now, 'eta_s', '', 'move', ARGV[3])
close(id, 'cancelled')
if run_id then leave(run_id, id) else leave_older(id) end
return 'left'
"""
)

SETTLE = (
    FUNCTIONS
    + """
-- KEYS  job, its run
-- ARGV  id, run's id, result key or ''
-- A run may have begun again meanwhile.
if not is_final(redis.call('HGET', KEYS[2], 'status')) then return 'unfinished' end
redis.call('SREM', jobs_of(ARGV[2]), ARGV[1])
local status, its_run = unpack(redis.call('HMGET', KEYS[1], 'status', 'run'))
-- It may have left and been tried again, with a run of its own.
if not status or is_final(status) or its_run ~= ARGV[2] then return 'gone' end
finish(ARGV[2], ARGV[1], ARGV[3])
return 'settled'
"""
)

RETRY = (
    FUNCTIONS
    + """
-- KEYS  job
-- ARGV  id, move
local id = ARGV[1]
adopt(id)
local status, attempt, move = unpack(redis.call('HMGET', KEYS[1], 'status', 'attempt', 'move'))
local stands, last, result_key =
  unpack(redis.call('HMGET', run(id), 'status', 'attempt', 'result_key'))
if status and move == ARGV[2] then return 'begun' end -- a client that lost the answer asks again
if status ~= 'failed' and status ~= 'cancelled' then return status or 'missing' end
unlist(id)
redis.call('HDEL', KEYS[1], 'abandoned', 'ended_at', 'error', 'warnings', 'follows')
redis.call('HSET', KEYS[1], 'move', ARGV[2])
-- Its run may have gone on for others.
if stands == 'succeeded' then
  finish(id, id, result_key)
  return 'joined'
elseif stands and not is_final(stands) then
  join(id, id)
  tell(id)
  return 'joined'
end
begin(id, math.max(attempt, last or 0) + 1)
tell(id)
return 'begun'
"""
)

REMOVE = (
    FUNCTIONS
    + f"""
-- KEYS  job
-- ARGV  id
local id = ARGV[1]
local owner, run_id = unpack(redis.call('HMGET', KEYS[1], 'owner', 'run'))
redis.call('DEL', KEYS[1])
if owner then redis.call('ZREM', '{JOBS.prefix}' .. owner, id) end
unlist(id)
if run_id then leave(run_id, id) end
-- The run that began with it may go on for others, who need what is stored for it.
local status = redis.call('HGET', run(id), 'status')
if status and (not is_final(status) or redis.call('SCARD', jobs_of(id)) > 0) then return 0 end
forget(id)
redis.call('DEL', run(id), jobs_of(id))
redis.call('ZREM', '{SETTLING}', id)
return 1
"""
)

ADOPT_OLDER = (
    FUNCTIONS
    + """
-- KEYS  job
-- ARGV  id
adopt(ARGV[1])
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
