"""The functions in Lua that the scripts of jobs and runs begin with."""

from __future__ import annotations

from shared.jobs.older import ADOPT
from shared.keys import (
    ABANDONED,
    CHUNKS,
    ENDED,
    EVENTS,
    EVENTS_KEPT,
    JOB,
    LEASES,
    QUEUED,
    RUN,
    RUN_JOBS,
    SETTLING,
    TOTALS,
    WEBHOOKS,
)

FUNCTIONS = f"""
local function job(id) return '{JOB.prefix}' .. id end
local function run(id) return '{RUN.prefix}' .. id end
local function jobs_of(id) return '{RUN_JOBS.prefix}' .. id .. '{RUN_JOBS.suffix}' end
local function queue_of(id)
  return '{QUEUED.prefix}' .. (redis.call('HGET', run(id), 'priority') or 'normal')
end
local function is_final(status) return status ~= 'queued' and status ~= 'running' end
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local function null(value)
  if value == false or value == '' then return cjson.null end
  return value
end
local function number(value) return null(value) == cjson.null and cjson.null or tonumber(value) end

-- Tells the owner of a job how it stands.
local function tell(id)
  local v = redis.call('HMGET', job(id), 'status', 'stage', 'progress', 'audio_done_s', 'eta_s',
                       'attempt', 'error', 'warnings', 'owner')
  local data = {{job_id = id, status = v[1], stage = null(v[2]), progress = number(v[3]),
                audio_done_s = number(v[4]), eta_s = number(v[5]), attempt = number(v[6])}}
  if v[7] and v[7] ~= '' then data.error = cjson.decode(v[7]) end
  if v[8] and #v[8] > 2 then data.warnings = cjson.decode(v[8]) end
  redis.call('XADD', '{EVENTS}', 'MAXLEN', '~', {EVENTS_KEPT}, '*', 'job', id,
             'owner', v[9] or '', 'type', 'job', 'data', cjson.encode(data))
end

-- Copies fields of a run to a job.
local function copy(run_id, id, names)
  local values = redis.call('HMGET', run(run_id), unpack(names))
  for i, name in ipairs(names) do redis.call('HSET', job(id), name, values[i] or '') end
  -- For a job that joined a run which had started, the start is when the job was made.
  local times = redis.call('HMGET', job(id), 'created_at', 'started_at')
  if times[2] ~= '' and tonumber(times[2]) < tonumber(times[1]) then
    redis.call('HSET', job(id), 'started_at', times[1])
  end
end

-- Shows in a job how its run stands.
local function show(run_id, id)
  copy(run_id, id, {{'status', 'attempt', 'first_attempt', 'started_at', 'stage', 'progress',
                    'audio_done_s', 'eta_s', 'stages_s', 'worker'}})
end

-- Adds a job to a run that has not ended.
local function join(run_id, id)
  redis.call('HSET', job(id), 'run', run_id)
  redis.call('SADD', jobs_of(run_id), id)
  show(run_id, id)
end

-- Begins the run that has the id of a job, or begins it again.
local function begin(id, attempt)
  for _, name in ipairs({{'id', 'request', 'audio', 'priority', 'request_id', 'is_streamed'}}) do
    local value = redis.call('HGET', job(id), name)
    if value then redis.call('HSET', run(id), name, value) end
  end
  redis.call('HDEL', run(id), 'started_at', 'ended_at', 'stage', 'eta_s', 'stages_s', 'worker',
             'error', 'warnings', 'result_key', 'flawed', 'move')
  redis.call('HSET', run(id), 'status', 'queued', 'attempt', attempt, 'first_attempt', attempt,
             'progress', 0, 'audio_done_s', 0)
  redis.call('ZADD', queue_of(id), now, id)
  redis.call('ZREM', '{SETTLING}', id)
  join(id, id)
end

-- Enters the end of a job in the indexes and totals, and tells its owner.
local function close(id, status)
  redis.call('ZREM', '{ABANDONED}', id)
  redis.call('ZADD', '{ENDED}', now, id)
  redis.call('HINCRBY', '{TOTALS}', 'jobs:' .. status, 1)
  local url = redis.call('HGET', job(id), 'callback_url')
  if url and url ~= '' then redis.call('ZADD', '{WEBHOOKS}', now, id) end
  tell(id)
end

-- Ends a job as its run ended.
local function finish(run_id, id, result_key)
  show(run_id, id)
  copy(run_id, id, {{'ended_at', 'error', 'warnings'}})
  redis.call('HSET', job(id), 'result_key', result_key)
  close(id, redis.call('HGET', job(id), 'status'))
end

-- Takes a job out of the indexes of jobs that ended, have a message to send, or are abandoned.
local function unlist(id)
  redis.call('ZREM', '{ENDED}', id)
  redis.call('ZREM', '{WEBHOOKS}', id)
  redis.call('ZREM', '{ABANDONED}', id)
end

-- Ends a run.
local function stop(id, status)
  redis.call('HSET', run(id), 'status', status, 'ended_at', now, 'eta_s', '')
  redis.call('ZREM', '{LEASES}', id)
  redis.call('ZREM', queue_of(id), id)
  redis.call('DEL', '{CHUNKS.prefix}' .. id .. '{CHUNKS.suffix}')
  local stages_s = redis.call('HGET', run(id), 'stages_s')
  if stages_s and stages_s ~= '' then
    for stage, seconds in pairs(cjson.decode(stages_s)) do
      redis.call('HINCRBYFLOAT', '{TOTALS}', 'stage_s:' .. stage, seconds)
      redis.call('HINCRBY', '{TOTALS}', 'stage_n:' .. stage, 1)
    end
  end
end

-- Keeps new jobs from sharing a run.
local function forget(id)
  local entry = redis.call('HGET', run(id), 'cache')
  if entry and redis.call('GET', entry) == id then redis.call('DEL', entry) end
end

-- Takes a job out of its run. Without any job left the run is cancelled.
local function leave(run_id, id)
  redis.call('SREM', jobs_of(run_id), id)
  local status = redis.call('HGET', run(run_id), 'status')
  if status and not is_final(status) and redis.call('SCARD', jobs_of(run_id)) == 0 then
    stop(run_id, 'cancelled')
    forget(run_id)
    -- The job that began it may have been deleted before: what is stored for it goes now.
    redis.call('ZADD', '{SETTLING}', now, run_id)
  end
end
{ADOPT}
"""
