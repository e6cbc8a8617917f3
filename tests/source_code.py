"""Reads our own source: which module imports what, defines what, and how long it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cli", "client", "gateway", "shared", "worker")


@dataclass(frozen=True)
class Module:
    """One source file, as `gateway/app.py`."""

    path: str

    @property
    def package(self) -> str:
        """The package at the root that it belongs to."""
        return self.path.partition("/")[0]

    @property
    def name(self) -> str:
        """What others import it by, as `gateway.app`."""
        return self.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    @cached_property
    def text(self) -> str:
        """Its source."""
        return (ROOT / self.path).read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, self.path)

    def imports(self, *, when_imported: bool = False, for_types: bool = False) -> set[str]:
        """
        Dotted names it imports; of `from a import b` both `a` and `a.b`.

        Args:
            when_imported: Leave out what functions import when they are called.
            for_types: Keep what stands under `if TYPE_CHECKING`.
        """
        found: set[str] = set()
        for node in _statements(self.tree, into_functions=not when_imported, for_types=for_types):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
                found.update(f"{node.module}.{alias.name}" for alias in node.names)
        return found

    def definitions(self) -> set[str]:
        """Functions and classes it defines, methods as `Class.method`."""
        found: set[str] = set()
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            if isinstance(node, ast.ClassDef):
                found.update(
                    f"{node.name}.{method.name}"
                    for method in node.body
                    if isinstance(method, ast.FunctionDef)
                )
        return found

    def function_lengths(self) -> dict[str, int]:
        """Lines of every function from `def` to its end, its docstring not counted."""
        return {
            f"{self.path}:{node.name}": _n_lines(node) - _n_docstring_lines(node)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef)
        }


def modules(*packages: str) -> list[Module]:
    """Every module of the packages, or of all that ship, in order."""
    paths = (
        path.relative_to(ROOT).as_posix()
        for package in packages or PACKAGES
        for path in (ROOT / package).rglob("*.py")
    )
    return [Module(path) for path in sorted(paths)]


def _statements(node: ast.AST, *, into_functions: bool, for_types: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and not into_functions:
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            if for_types:
                yield from child.body
            continue
        yield child
        yield from _statements(child, into_functions=into_functions, for_types=for_types)


def _n_lines(node: ast.FunctionDef | ast.Expr) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def _n_docstring_lines(node: ast.FunctionDef) -> int:
    first = node.body[0]
    return _n_lines(first) if isinstance(first, ast.Expr) and ast.get_docstring(node) else 0
