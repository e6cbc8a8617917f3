"""Reads our own source: which module imports what, defines what, and how long it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TypeGuard

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("cli", "client", "gateway", "shared", "worker")

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


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
        return set(_imports(self, when_imported, for_types))

    def definitions(self) -> set[str]:
        """Functions and classes it defines, methods as `Class.method`."""
        found: set[str] = set()
        for node in self.tree.body:
            if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
                found.add(node.name)
            if isinstance(node, ast.ClassDef):
                found.update(
                    f"{node.name}.{method.name}"
                    for method in node.body
                    if isinstance(method, _FUNCTIONS)
                )
        return found

    def function_lengths(self) -> dict[str, int]:
        """Lines of every function from `def` to its end, its docstring not counted."""
        return {
            f"{self.path}:{node.lineno} {node.name}": _n_lines(node) - _n_docstring_lines(node)
            for node in ast.walk(self.tree)
            if isinstance(node, _FUNCTIONS)
        }

    def statement_lines(self) -> list[tuple[int, str]]:
        """
        Number and text of each line that says something a copy of it would say too.

        Left out are imports, docstrings, comments, blank lines and lines of brackets alone;
        white space is made equal.
        """
        left_out: set[int] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import | ast.ImportFrom) or _is_text(node):
                left_out.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        lines = ((n, " ".join(line.split())) for n, line in enumerate(self.text.splitlines(), 1))
        return [
            (n, line)
            for n, line in lines
            if n not in left_out and not line.startswith("#") and any(map(str.isalnum, line))
        ]


def modules(*packages: str) -> list[Module]:
    """Every module of the packages, or of all that ship, in order."""
    paths = (
        path.relative_to(ROOT).as_posix()
        for package in packages or PACKAGES
        for path in (ROOT / package).rglob("*.py")
    )
    return [_module(path) for path in sorted(paths)]


@cache
def _module(path: str) -> Module:
    return Module(path)


@cache
def _imports(module: Module, when_imported: bool, for_types: bool) -> frozenset[str]:
    found: set[str] = set()
    for node in _statements(module.tree, into_functions=not when_imported, for_types=for_types):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def _statements(node: ast.AST, *, into_functions: bool, for_types: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS) and not into_functions:
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            if for_types:
                yield from child.body
            continue
        yield child
        yield from _statements(child, into_functions=into_functions, for_types=for_types)


def _is_text(node: ast.AST) -> TypeGuard[ast.Expr]:
    """Whether it is a docstring, or another text that stands by itself."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _n_lines(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def _n_docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    return _n_lines(first) if _is_text(first) else 0
