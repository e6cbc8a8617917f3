"""That what is broken on purpose still stands where it is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from breakages import BREAKAGES, ROOT, Breakage


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.name)
def test_what_is_to_be_broken_is_there_and_the_test_that_notices_too(breakage: Breakage) -> None:
    file, _, test = breakage.test.partition("::")

    assert breakage.old in (ROOT / breakage.file).read_text()
    assert f"def {test.partition('[')[0]}(" in (Path(__file__).parent / file).read_text()
