"""Makes docs/modules.md: every file of the packages, with the first sentence of its docstring."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from pathlib import Path

PACKAGES = ("gateway", "worker", "shared", "cli")

_HEAD = """\
# Modules

Every source file, with the first sentence of its docstring. The rooms stand in the order of
[ARCHITECTURE.md](../ARCHITECTURE.md): a room imports only from rooms further down.

This page is written by `make docs` from the code; changes to it by hand are lost.
"""


def modules_page(checkout: Path) -> str:
    """A table of files for each room of each package."""
    architecture = (checkout / "ARCHITECTURE.md").read_text(encoding="utf-8")
    parts = [_HEAD]
    for package in PACKAGES:
        root = checkout / package
        order = room_order(architecture, package)
        parts.append(_section("##", root, _in_order(root.glob("*.py"), order), checkout))
        rooms = _in_order((path.parent for path in root.glob("*/__init__.py")), order)
        for room in rooms:
            parts.append(_section("###", room, sorted(room.rglob("*.py")), checkout))
    return "".join(parts)


def room_order(architecture: str, package: str) -> list[str]:
    """
    The rooms of a package as ARCHITECTURE.md lists them, from top to bottom; [] without a list.

    >>> room_order("| rooms of `a/` | what |\\n|---|---|\\n| `app` | … |\\n| `x`, `y` | … |", "a")
    ['app', 'x', 'y']
    """
    table = architecture.partition(f"| rooms of `{package}/` |")[2].partition("\n\n")[0]
    return re.findall("`([^`]+)`", "".join(row.split("|")[1] for row in table.splitlines()[2:]))


def first_sentence(path: Path) -> str:
    """The first sentence of a module's docstring, on one line."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    text = " ".join(docstring.partition("\n\n")[0].split())
    sentence = re.match(r".*?[.?!](?=\s|$)", text)
    return (sentence[0] if sentence else text).replace("|", "\\|")


def _in_order(paths: Iterable[Path], order: list[str]) -> list[Path]:
    rank = {name: number for number, name in enumerate(order)}
    return sorted(paths, key=lambda path: (rank.get(path.stem, len(rank)), path.name))


def _section(heading: str, folder: Path, paths: Iterable[Path], checkout: Path) -> str:
    """One folder: what it is, and a row for each of its files."""
    own = folder / "__init__.py"
    name = folder.relative_to(checkout).as_posix()
    rows = (
        f"| `{path.relative_to(checkout).as_posix()}` | {first_sentence(path)} |\n"
        for path in paths
        if path != own
    )
    table = "| file | what it holds |\n|---|---|\n" + "".join(rows)
    return "\n".join(["", f"{heading} `{name}/`", "", first_sentence(own), "", table])
