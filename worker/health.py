"""`python -m worker.health`: the health check of a container: does its worker take jobs?"""

from __future__ import annotations

import socket
import sys

from redis import Redis
from redis.exceptions import RedisError

from shared.connections import connect_briefly
from shared.workers import Workers
from worker.settings import WorkerSettings


def is_live(redis: Redis, host: str) -> bool:
    """Whether a worker on this host has published lately that it takes jobs."""
    return any(record.host == host for record in Workers(redis).live())


def main() -> int:
    """Ask Redis, since nobody can connect to a worker; 0 if the worker takes jobs, else 1."""
    host = socket.gethostname()
    try:
        with connect_briefly(WorkerSettings().redis_url.get_secret_value()) as redis:
            found = is_live(redis, host)
    except RedisError as error:
        sys.stderr.write(f"Redis cannot be asked: {error}\n")
        return 1
    if not found:
        sys.stderr.write(f"no worker on {host} takes jobs\n")
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
