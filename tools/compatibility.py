"""Writes docs/compatibility.md: every promise of the older systems, and the tests that prove it."""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from shared.settings import CHECKOUT

PROMISES = CHECKOUT / "tests" / "promises.toml"
OUTCOMES = CHECKOUT / ".cache" / "promises.json"
PAGE = CHECKOUT / "docs" / "compatibility.md"
MARK = "promise"

_HEAD = """\
# Compatibility

Longhand replaces five older systems. This page lists what their documents promised to callers over
HTTP, with the numbers that our tests use, and which tests prove it. `make compatibility` writes it
from the tests that ran and passed, after `make test`, `make test-speech` and `make test-compat`;
changes to it by hand are lost. The examples of the older documents run as printed, against a whole
site. Only the address and the model are replaced: by ours, and by `demo`.
"""
_KEPT = "| | what was promised | proved by |\n|---|---|---|\n"
_OPEN = {
    "instead": (
        "\n## Not supported, and what to do instead\n\n"
        "| | what was promised | what to do |\n|---|---|---|\n"
    ),
    "later": (
        "\n## Comes later (live)\n\n| | what was promised | with |\n|---|---|---|\n"
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Promise:
    """
    One promise.

    Attributes:
        number: Its number in contracts and tests.
        says: What was promised.
        shown: A file that shows it without its number, or "".
        instead: What to do instead, if it is not supported.
        later: What it will come with, if it is not there yet.
        tests: Functions with its number, as `tests/x.py::test_y`.
    """

    number: str
    says: str
    shown: str = ""
    instead: str = ""
    later: str = ""
    tests: tuple[str, ...] = ()

    @property
    def section(self) -> str:
        """The key of its section."""
        return re.match(r"[A-Z]+?\d?(?=-)|[A-Z]+", self.number)[0]  # type: ignore[index]


def marked_tests() -> dict[str, list[str]]:
    """The test functions with each number."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted((CHECKOUT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                for number in _numbers(node):
                    found[number].append(f"{path.relative_to(CHECKOUT).as_posix()}::{node.name}")
    return found


def _numbers(node: ast.FunctionDef) -> Iterator[str]:
    for decorator in node.decorator_list:
        is_mark = isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute)
        if is_mark and decorator.func.attr == MARK:  # type: ignore[attr-defined]
            yield from map(ast.literal_eval, decorator.args)  # type: ignore[attr-defined]


def read_promises() -> tuple[Mapping[str, str], list[Promise]]:
    """The title of each section, and every promise in order."""
    read = tomllib.loads(PROMISES.read_text(encoding="utf-8"))
    sections, tests = read.pop("sections"), marked_tests()
    promises = [
        Promise(number, **value, tests=tuple(tests.get(number, ())))
        for number, value in read.items()
    ]
    return sections, promises


def written_page() -> str:
    """The page, if every test with a number passes."""
    sections, promises = read_promises()
    parts = [_HEAD]
    for key, title in sections.items():
        rows = [_row(p) for p in promises if p.section == key and not (p.instead or p.later)]
        parts.append(f"\n## {title}\n\n{_KEPT}{''.join(rows)}")
    for kind, head in _OPEN.items():
        rows = [f"| {p.number} | {p.says} | {w} |\n" for p in promises if (w := getattr(p, kind))]
        parts.append(head + "".join(rows))
    return "".join(parts)


def _row(promise: Promise) -> str:
    files = dict.fromkeys([test.partition("::")[0] for test in promise.tests])
    proofs = ", ".join(f"[{Path(name).stem}](../{name})" for name in files)
    proofs = proofs or f"[{Path(promise.shown).stem}](../{promise.shown})"
    return f"| {promise.number} | {promise.says} | {proofs} |\n"


def not_passed() -> list[str]:
    """Tests with a number that did not pass when they ran last, or never ran."""
    text = OUTCOMES.read_text(encoding="utf-8") if OUTCOMES.is_file() else "{}"
    outcomes: dict[str, str] = json.loads(text)
    wanted = {test for tests in marked_tests().values() for test in tests}
    return sorted(test for test in wanted if outcomes.get(test) != "passed")


@click.command()
@click.option("--unproved", is_flag=True, help="Write the page though tests have not run.")
def main(unproved: bool) -> None:
    """Write docs/compatibility.md from the tests that ran last."""
    if (failed := not_passed()) and not unproved:
        click.echo("these did not pass when they ran last, or did not run:", err=True)
        click.echo("\n".join(failed), err=True)
        sys.exit(1)
    PAGE.write_text(written_page(), encoding="utf-8")
    click.echo(f"wrote {PAGE.relative_to(CHECKOUT)}")


if __name__ == "__main__":
    main()
