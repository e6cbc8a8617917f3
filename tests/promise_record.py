"""Notes which tests that carry a promise's number passed, for `tools/compatibility.py`."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from tools.compatibility import MARK, OUTCOMES


class PromiseRecord:
    """Keeps the outcome of every test function with such a number, of all its cases together."""

    def __init__(self) -> None:
        self._outcomes: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: Iterable[pytest.Item]) -> None:
        """Note the mark on the item, so that its report carries it from whatever process."""
        for item in items:
            if item.get_closest_marker(MARK):
                item.user_properties.append((MARK, True))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how it went."""
        if (MARK, True) not in [tuple(pair) for pair in report.user_properties]:
            return
        name = report.nodeid.partition("[")[0]
        if report.failed or report.skipped:
            self._outcomes[name] = report.outcome
        elif report.when == "call":
            self._outcomes.setdefault(name, report.outcome)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Add what was noted to what is known; of pytest-xdist's processes only the first does."""
        if not self._outcomes or hasattr(session.config, "workerinput"):
            return
        OUTCOMES.parent.mkdir(exist_ok=True)
        known = json.loads(OUTCOMES.read_text()) if OUTCOMES.is_file() else {}
        OUTCOMES.write_text(json.dumps(known | self._outcomes, indent=1, sort_keys=True))
