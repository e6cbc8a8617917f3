"""
Every key of Longhand in Redis. No other module spells one.

Below each stands a row of the table in docs/redis.md, which `make docs` writes: type | what it
holds | who writes it | how long it lives. RQ has keys of its own (`rq:…`); see `shared.delivery`.
"""

from __future__ import annotations


class Key(str):
    """The name of a key, or a pattern with a part in braces, as `longhand:job:{id}`."""

    @property
    def prefix(self) -> str:
        """What stands before the part in braces."""
        return self.partition("{")[0]

    @property
    def suffix(self) -> str:
        """What stands after the part in braces."""
        return self.partition("}")[2]

    def of(self, part: str) -> str:
        """
        The key with its part filled in.

        >>> JOB.of("07ab")
        'longhand:job:07ab'
        """
        return f"{self.prefix}{part}{self.suffix}"


JOB = Key("longhand:job:{id}")
"""hash | the record of a job (`shared.records`) | gateway, worker | until the job is deleted"""

RUN = Key("longhand:run:{id}")
"""
hash | the record of a run, which has the id of the job that began it (`shared.records`) |
gateway, worker | until that job is deleted and the run has ended
"""

RUN_JOBS = Key("longhand:run:{id}:jobs")
"""
set | ids of the jobs that wait for a run | gateway, worker | an id until its job is settled or
leaves
"""

FOLLOWERS = Key("longhand:job:{id}:followers")
"""
set | ids of the jobs that wait for the run of this job, as older versions wrote them | nobody |
until the run is next moved
"""

CHUNKS = Key("longhand:job:{id}:chunks")
"""
hash | the plan of a run and its chunks that are done (`shared.jobs.chunks`) | worker |
until the run ends; at most 7 days
"""

KNOWN = Key("longhand:job:{id}:known")
"""string | there if a caller was given the id of the job | gateway | 24 hours"""

READERS = Key("longhand:job:{id}:readers")
"""
sorted set | callers with an Idempotency-Key who wait for the job, by when they must sign again |
gateway | 10 s after the last sign
"""

JOBS = Key("longhand:jobs:{owner}")
"""
sorted set | ids of the jobs of an owner, by when they were made | gateway |
without end; an id until its job is deleted
"""

QUEUED = Key("longhand:queued:{priority}")
"""
sorted set | ids of the runs that wait, by when they began to wait | gateway, worker |
without end; an id while it waits
"""

LEASES = Key("longhand:leases")
"""
sorted set | ids of the runs in work, by when their lease ends | gateway, worker |
without end; an id while it runs
"""

SETTLING = Key("longhand:settling")
"""
sorted set | ids of the runs that ended, whose jobs are not settled yet | gateway, worker |
without end; an id until all are settled
"""

ENDED = Key("longhand:ended")
"""
sorted set | ids of the jobs that ended, by when | gateway, worker |
without end; an id until its job is deleted or tried again
"""

ABANDONED = Key("longhand:abandoned")
"""
sorted set | ids of the jobs whose callers went away, by when they will be cancelled | gateway |
without end; an id until then, or until a caller is back
"""

WEBHOOKS = Key("longhand:webhooks")
"""
sorted set | ids of the jobs with a message to send, by when it is due | gateway, worker |
without end; an id until it is sent, or no longer tried
"""

DELIVERIES = Key("longhand:deliveries:{id}")
"""list | each try to send the message of a job, as JSON | gateway | 30 days after the last try"""

CACHE = Key("longhand:cache:{hash}")
"""
string | the run of some audio with some options | gateway |
until the run is cancelled or removed
"""

IDEMPOTENCY = Key("longhand:idempotency:{hash}")
"""hash | the job that an Idempotency-Key made | gateway | 24 hours"""

BATCH_IDEMPOTENCY = Key("longhand:idempotency:batch:{hash}")
"""string | the batch that an Idempotency-Key made, as JSON | gateway | 24 hours"""

BATCH = Key("longhand:batch:{id}")
"""
string | a batch and the ids of its jobs, as JSON | gateway |
until it is deleted, or none of its jobs is left
"""

TOTALS = Key("longhand:totals")
"""
hash | what `/metrics` counts: jobs, cache hits, seconds, webhooks | gateway, worker |
without end
"""

EVENTS = Key("longhand:events")
"""
stream | what happened to jobs, for those who listen | gateway, worker |
without end; about the newest 5000 events
"""

BELL = Key("longhand:bell")
"""
list | one entry for each new slip: idle workers block on it | gateway, worker |
without end; at most 256 entries
"""

REAPER = Key("longhand:reaper")
"""string | there while a reaper works | gateway, worker | about 2 s"""

SWEEPER = Key("longhand:sweeper")
"""
string | there while no other gateway may remove what is too old | gateway |
a little less than LONGHAND_SWEEP_EVERY_S
"""

WALKED = Key("longhand:sweeper:walked")
"""string | there if all of storage was searched for old files | gateway | 24 hours"""

UPLOAD = Key("longhand:upload:{id}")
"""
hash | an upload in parts, and how much of it has arrived | gateway |
LONGHAND_UPLOAD_TTL_S after its last part
"""

UPLOAD_PARTS = Key("longhand:upload:{id}:parts")
"""
list | where its parts lie in storage, in order | gateway |
LONGHAND_UPLOAD_TTL_S after its last part
"""

UPLOAD_TAKEN = Key("longhand:upload:{id}:taken")
"""string | the job that was made of an upload to /v2/upload | gateway | LONGHAND_UPLOAD_TTL_S"""

UPLOADS = Key("longhand:uploads:{owner}")
"""
sorted set | ids of the uploads of an owner, by when they expire | gateway |
LONGHAND_UPLOAD_TTL_S after the last part
"""

CHOSEN_MODEL = Key("longhand:chosen_model")
"""string | the default model that `POST /reload` chose, as JSON | gateway | without end"""

GENERATION = Key("longhand:generation")
"""string | a number that rises when models must be loaded again | gateway, cli | without end"""

RATES = Key("longhand:rates:{caller}")
"""
any | requests of a caller, counted by Flask-Limiter | gateway |
as long as the rate looks back
"""

WORKER = Key("longhand:worker:{name}")
"""
string | the record of a worker, as JSON (`shared.workers`) | worker |
15 s after it was last written
"""

WORKERS = Key("longhand:workers")
"""
sorted set | names of the workers, by when they last wrote their record | worker |
without end; a name until its worker is gone
"""

WORKERS_EVER = Key("longhand:workers:ever")
"""string | there once a worker has started | worker | without end"""

GPU = Key("longhand:gpu:{uuid}")
"""
sorted set | workers that use a GPU, by when their lease ends | worker |
twice the lease of 30 s
"""

LIVE_SESSION = Key("longhand:live:session:{id}")
"""
hash | a live session: its request, its owner, who serves it, and what is needed to go on with it
(`shared.live.wire`) | gateway, worker | 2 minutes after it was last written
"""

LIVE_AUDIO = Key("longhand:live:audio:{id}")
"""
stream | audio of a live session that a worker may still need | gateway |
2 minutes after it was last written
"""

LIVE_SAID = Key("longhand:live:said:{id}")
"""
list | updates of a live session that committed words, as JSON | worker |
2 minutes after the session was last written
"""

LIVE_SESSIONS = Key("longhand:live:sessions")
"""
sorted set | ids of the live sessions, by when the lease of their worker ends; 0 for those that
wait for a worker | gateway, worker | without end; an id until its session ends
"""

LIVE_OWNER = Key("longhand:live:owner:{owner}")
"""
sorted set | ids of the live sessions of an owner, by when they were last seen | gateway, worker |
2 minutes after one was last seen
"""

LIVE_BELL = Key("longhand:live:bell")
"""
list | one entry for each session that waits: idle workers block on it | gateway, worker |
a minute after the last entry
"""

LIVE_GATEWAY = Key("longhand:live:gateway:{name}")
"""string | there while a gateway.live runs | gateway | 15 s after it was last written"""

LIVE_ENDED = Key("longhand:live:ended")
"""hash | how many connections of live sessions have ended, by why | gateway | without end"""

LIVE_UPDATES = Key("longhand:live:updates:{name}")
"""
stream | updates of all sessions that one gateway.live serves | worker |
about the newest 10,000; 2 minutes after the last
"""

EVENTS_KEPT = 5000
"""About so many of the newest events stay in `EVENTS`."""
