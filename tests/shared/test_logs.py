"""Log lines, as a process writes them."""

from __future__ import annotations

import json
import re
import subprocess
import sys

PROGRAM = """
import logging, sys
from shared.logs import configure_logs, job_logged
configure_logs("info", sys.argv[1])
log = logging.getLogger("longhand.test")
log.debug("hidden")
with job_logged("0f3a"):
    log.info("within %s", "头发")
log.warning("after")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("broke")
"""


def written(form):
    """What a fresh process writes to stderr."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, form], stderr=subprocess.PIPE, encoding="utf-8", check=True
    ).stderr.splitlines()


def test_a_text_line_names_its_job():
    within, after, *_ = written("text")

    clock = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(f"{clock} INFO longhand.test job=0f3a within 头发", within)
    assert re.fullmatch(f"{clock} WARNING longhand.test after", after)


def test_a_json_line_names_its_job_and_holds_its_traceback():
    within, after, broke = map(json.loads, written("json"))

    assert (within["job_id"], within["level"], within["message"]) == ("0f3a", "info", "within 头发")
    assert "job_id" not in after
    assert broke["traceback"].endswith("ZeroDivisionError: division by zero")
