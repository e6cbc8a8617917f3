"""
Jobs, and the runs that do them.

`Jobs` is what owners do with their jobs, through the gateway; `Runs` is what workers and the
reaper do. Every change of a record is a script of `scripts.py`, which `moves.py` calls.
"""

from shared.jobs.jobs import Jobs as Jobs
from shared.jobs.runs import Runs as Runs
