"""Describes what is wrong with a value, for the person who wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_SHOWN_CHARACTERS = 64


def describe_problem(name: str, problem: Mapping[str, Any], *, is_secret: bool = False) -> str:
    """
    One of pydantic's errors as a sentence.

    Args:
        name: The field's name, as the caller or operator writes it.
        problem: An item of `ValidationError.errors()`.
        is_secret: Whether the value must not be shown.

    >>> describe_problem("beam", {"type": "less_than", "ctx": {"lt": 9}, "input": "20"})
    'beam is 20; it must be less than 9'
    """
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in ("value_error", "assertion_error"):
        return str(problem["msg"]).partition(", ")[2]
    if kind == "string_too_long":
        n = len(problem["input"])
        return f"{name} is {n} characters long; it must be at most {context['max_length']}"
    wanted = _wanted(kind, context, problem)
    if is_secret:
        return f"{name} must be {wanted}"
    return f"{name} is {shown(problem['input'])}; it must be {wanted}"


def _wanted(kind: str, context: Mapping[str, Any], problem: Mapping[str, Any]) -> str:
    bounds = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    for bound, words in bounds.items():
        if bound in context:
            return f"{words} {context[bound]:g}"
    if kind == "literal_error":
        return str(context["expected"])
    kinds = {"bool": "true or false", "int": "a whole number", "float": "a number"}
    for prefix, words in kinds.items():
        if kind.startswith(prefix):
            return words
    return str(problem["msg"]).removeprefix("Input should be ").lower()


def shown(value: object) -> str:
    """A value as a sentence shows it: numbers without quotes, long texts cut."""
    if isinstance(value, str):
        try:
            return f"{float(value):g}" if math.isfinite(float(value)) else repr(value)
        except ValueError:
            cut = value[:_SHOWN_CHARACTERS]
            return repr(cut + "…" if len(value) > len(cut) else cut)
    return repr(value)
