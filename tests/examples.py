"""Which modules are looked through for examples: those that have some."""

from __future__ import annotations

from pathlib import Path

import pytest


class Examples:
    """
    Spares the collection the import of modules without an example in a docstring.

    `--doctest-modules` imports all that it looks through: without this every process of a run
    would begin by importing torch and all that the engines are made of.
    """

    @pytest.hookimpl
    def pytest_ignore_collect(self, collection_path: Path, config: pytest.Config) -> bool | None:
        """Leave such a module out; None where others decide."""
        is_tests = collection_path.name.startswith(("test_", "conftest"))
        if collection_path.suffix != ".py" or is_tests:
            return None
        return None if ">>> " in collection_path.read_text(encoding="utf-8") else True
