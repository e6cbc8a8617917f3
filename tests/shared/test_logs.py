"""Log lines, as a process writes them."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.logs import KEPT_FILES, SharedLogFile

PROGRAM = """
import logging, sys
from shared.logs import configure_logs, job_logged, request_logged
configure_logs("info", *sys.argv[1:])
log = logging.getLogger("longhand.test")
log.debug("hidden")
with job_logged("0f3a"):
    log.info("within %s", "头发")
log.warning("after")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("broke")
with request_logged("r-1"), job_logged("0f3b"):
    log.info("both", extra={"status": 200, "thread_id": 7})
with job_logged("0f3c", request_id="r-2"):
    log.info("told")
"""

MANY = """
import logging, sys
from pathlib import Path
from shared.logs import SharedLogFile
log = logging.getLogger("many")
log.addHandler(SharedLogFile(Path(sys.argv[1]), max_bytes=2000))
for n in range(300):
    log.warning("%s %d %s", sys.argv[2], n, "x" * 20)
"""


def written(*arguments):
    """What a fresh process writes to stderr."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    ).stderr


def test_a_text_line_names_its_job_and_its_request():
    within, after, *_, both, told = written("text").splitlines()

    clock = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.fullmatch(f"{clock} INFO longhand.test job=0f3a within 头发", within)
    assert re.fullmatch(f"{clock} WARNING longhand.test after", after)
    assert re.fullmatch(f"{clock} INFO longhand.test job=0f3b request=r-1 both status=200", both)
    assert re.fullmatch(f"{clock} INFO longhand.test job=0f3c request=r-2 told", told)


def test_a_json_line_names_its_job_and_holds_its_traceback():
    within, after, broke, both, told = map(json.loads, written("json").splitlines())

    assert list(within) == ["time", "level", "logger", "message", "job_id"]
    assert (within["job_id"], within["level"], within["message"]) == ("0f3a", "info", "within 头发")
    assert "job_id" not in after
    assert broke["traceback"].endswith("ZeroDivisionError: division by zero")
    assert (both["job_id"], both["request_id"], both["status"]) == ("0f3b", "r-1", 200)
    assert "thread_id" not in both
    assert (told["job_id"], told["request_id"]) == ("0f3c", "r-2")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_log_file_gets_the_same_lines(tmp_path, form):
    file = tmp_path / "logs" / "app.log"
    first = written(form, str(file))
    second = written(form, str(file))

    assert len(first) > 100
    assert file.read_text(encoding="utf-8") == first + second


def test_a_log_file_that_cannot_be_written_stops_nobody(tmp_path):
    lines = written("text", str(tmp_path)).splitlines()

    assert "ERROR shared.logs LONGHAND_LOG_FILE cannot be written" in lines[0]
    assert lines[-1].endswith("told")


def test_several_processes_put_full_files_aside_without_losing_the_newest_lines(tmp_path):
    file = tmp_path / "app.log"

    def run(name):
        subprocess.run([sys.executable, "-c", MANY, str(file), name], check=True)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(run, ["a", "b", "c"]))
    kept = [*(tmp_path / f"app.log.{n}" for n in range(KEPT_FILES, 0, -1)), file]
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in kept} | {
        "app.log.lock"
    }
    lines = [line for path in kept for line in path.read_text().splitlines()]
    by_name = {
        name: [int(n) for who, n, _ in map(str.split, lines) if who == name] for name in "abc"
    }
    assert all(re.fullmatch(r"[abc] \d+ x{20}", line) for line in lines)
    assert max(by_name.values(), key=len)[-1] == 299
    for numbers in filter(None, by_name.values()):
        assert numbers == list(range(numbers[0], 300))


def test_a_log_file_that_somebody_removed_is_begun_anew(tmp_path: Path):
    handler = SharedLogFile(tmp_path / "app.log", max_bytes=1000)
    handler.emit(logging.makeLogRecord({"msg": "first"}))
    (tmp_path / "app.log").unlink()
    handler.emit(logging.makeLogRecord({"msg": "second"}))
    handler.close()

    assert (tmp_path / "app.log").read_text() == "second\n"
