"""What jobs of the same audio leave in Redis and in storage."""

from __future__ import annotations

import json

AUDIO = b"RIFF of one recording"


def slips(redis):
    return [
        slip for q in ("-high", "", "-low") for slip in redis.lrange(f"rq:queue:longhand{q}", 0, -1)
    ]


def events(redis, job_id):
    entries = [fields for _, fields in redis.xrange("longhand:events")]
    mine = [e for e in entries if e[b"job"] == job_id.encode()]
    return [(e[b"type"].decode(), json.loads(e[b"data"]), e[b"owner"].decode()) for e in mine]
