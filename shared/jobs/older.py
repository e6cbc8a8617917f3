"""
Records of an older version in Redis, where the first job of a run was also the run.

There a job that shared the run of another had the field `follows`, and was in the first job's set
`FOLLOWERS`. If the owner of a first job cancelled or deleted it while others waited, it got the
field `released`. Such a job becomes a job and a run when a worker of this version claims it, when
its lease runs out, or when its owner changes it. Until then new jobs do not share its run: it may
belong to a worker of an older version, which knows no runs.
"""

from __future__ import annotations

from shared.keys import ENDED, FOLLOWERS

ADOPT = f"""
local function followers(id) return '{FOLLOWERS.prefix}' .. id .. '{FOLLOWERS.suffix}' end

-- Makes a run of a job of an older version.
local function adopt(id)
  local v = redis.call('HMGET', job(id), 'status', 'run', 'follows', 'released', 'released_at',
                       'attempt', 'first_attempt')
  local attempt = redis.call('HGET', run(id), 'attempt')
  -- A gateway of an older version took the job from a worker that died, or had it tried again.
  if v[1] == 'queued' and ((attempt and v[2] == id) or (v[2] and v[3] == ''))
     and tonumber(v[6]) > tonumber(attempt or 0) then
    begin(id, v[6])
    redis.call('HSET', run(id), 'first_attempt', v[7] or 1)
  elseif not attempt then
    if not v[1] or v[2] or (v[3] and v[3] ~= '') then return end
    redis.call('HSET', job(id), 'run', id)
    local fields = redis.call('HGETALL', job(id))
    for i = 1, #fields, 2 do redis.call('HSET', run(id), fields[i], fields[i + 1]) end
    if v[4] and v[4] ~= '' then
      redis.call('HDEL', job(id), 'released', 'released_at', 'result_key', 'error', 'warnings')
      redis.call('HSET', job(id), 'status', 'cancelled', 'ended_at', v[5] or now)
      if v[4] == 'deleted' then
        redis.call('DEL', job(id))
        redis.call('ZREM', '{ENDED}', id)
      end
    elseif not is_final(v[1]) then
      redis.call('SADD', jobs_of(id), id)
    end
  end
  -- A gateway of an older version may add some still.
  for _, each in ipairs(redis.call('SMEMBERS', followers(id))) do
    join(id, each)
    if is_final(redis.call('HGET', run(id), 'status')) then
      redis.call('HSET', job(each), 'status', 'running') -- until it is settled
    end
  end
  redis.call('DEL', followers(id))
end

-- Takes a job out of the followers of another.
local function leave_older(id)
  redis.call('SREM', followers(redis.call('HGET', job(id), 'follows') or ''), id)
end
"""
