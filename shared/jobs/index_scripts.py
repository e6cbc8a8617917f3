"""The scripts that keep a run's chunks, mark removed audio, and take messages."""

from __future__ import annotations

from shared.keys import EVENTS, EVENTS_KEPT, JOB

PLAN = "plan"
"""Names of plans among the fields of `CHUNKS` begin so; those of chunks are numbers."""

KEEP_CHUNK = f"""
-- KEYS  run, chunks, its jobs
-- ARGV  run's id, attempt, 'anew' or '', field, value, seconds until it expires
local v = redis.call('HMGET', KEYS[1], 'status', 'attempt')
if v[1] ~= 'running' or v[2] ~= ARGV[2] then return 0 end
if ARGV[3] == 'anew' then redis.call('DEL', KEYS[2]) end
redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[6])
if string.sub(ARGV[4], 1, {len(PLAN)}) == '{PLAN}' then return 1 end
-- As text: Lua would not write the same JSON that it reads.
local segments = string.match(ARGV[5], '"segments":(.*)}}$')
for _, id in ipairs(redis.call('SMEMBERS', KEYS[3])) do
  redis.call('XADD', '{EVENTS}', 'MAXLEN', '~', {EVENTS_KEPT}, '*', 'job', id,
             'owner', redis.call('HGET', '{JOB.prefix}' .. id, 'owner') or '',
             'type', 'segments', 'data', '{{"job_id":"' .. id .. '","index":' .. ARGV[4] ..
             ',"segments":' .. segments .. '}}')
end
return 1
"""

MARK_AUDIO_REMOVED = """
-- KEYS  job, the run that began with it, the jobs that wait for that run
-- ARGV  the present time
local run = redis.call('HGET', KEYS[2], 'status')
if run == 'queued' or run == 'running' or redis.call('SCARD', KEYS[3]) > 0 then return 0 end
local v = redis.call('HMGET', KEYS[1], 'status', 'audio_removed_at')
if not v[1] or v[1] == 'queued' or v[1] == 'running' then return 0 end
if not v[2] or v[2] == '' then redis.call('HSET', KEYS[1], 'audio_removed_at', ARGV[1]) end
return 1
"""

TAKE_MESSAGES = """
-- KEYS  webhooks
-- ARGV  how many at most, lease in seconds
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], now + ARGV[2], id) end
return {string.format('%.6f', now + ARGV[2]), ids}
"""

GIVE_BACK_MESSAGE = """
-- KEYS  webhooks, the job's log, totals
-- ARGV  id, end of the lease, seconds until it is due again or '', log entry or '', outcome,
--       length of the log, seconds it is kept
if ARGV[4] ~= '' then
  redis.call('RPUSH', KEYS[2], ARGV[4])
  redis.call('LTRIM', KEYS[2], -ARGV[6], -1)
  redis.call('EXPIRE', KEYS[2], ARGV[7])
  redis.call('HINCRBY', KEYS[3], 'webhooks:' .. ARGV[5], 1)
end
-- Another time stands there if the lease ran out, or if the job has ended once more.
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not score or string.format('%.6f', tonumber(score)) ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('ZREM', KEYS[1], ARGV[1])
else
  local clock = redis.call('TIME')
  redis.call('ZADD', KEYS[1], clock[1] + clock[2] / 1000000 + ARGV[3], ARGV[1])
end
return 1
"""
