"""Every method of every route of an application, with its documentation."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from flask import Flask
from werkzeug.routing import Rule

from gateway.errors import is_openais
from gateway.openapi.documented import Documentation, documentation_of
from shared import errors
from shared.errors import LonghandError

_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Operation:
    """One method of one route, with its documentation."""

    rule: Rule
    method: str
    name: str
    text: str
    documentation: Documentation

    @property
    def path(self) -> str:
        """Its path as OpenAPI writes it: `/jobs/{job_id}`."""
        return path_of(self.rule)

    @property
    def is_openais(self) -> bool:
        """Whether its errors have OpenAI's shape."""
        return is_openais(self.rule.rule)


def operations_of(app: Flask) -> Iterator[Operation]:
    """Every documented method of every route."""
    rules = [
        (rule, method, app.view_functions[rule.endpoint])
        for rule in app.url_map.iter_rules()
        for method in methods_of(rule)
    ]
    uses = Counter(view.__name__ for _, _, view in rules)
    for rule, method, view in rules:
        if documentation := documentation_of(view):
            name = view.__name__
            if uses[name] > 1:
                name = f"{name}_{method.lower()}_{_slug(rule.rule)}"
            yield Operation(rule, method, name, inspect.getdoc(view) or "", documentation)


def path_of(rule: Rule) -> str:
    """A route's path with its parameters as OpenAPI writes them."""
    return re.sub("<(?:[^:>]+:)?([^>]+)>", r"{\1}", rule.rule)


def methods_of(rule: Rule) -> list[str]:
    """The methods that the route's view answers, without those that Flask adds."""
    methods = set(rule.methods or ())
    if "GET" in methods:
        methods.discard("HEAD")
    if getattr(rule, "provide_automatic_options", True):
        methods.discard("OPTIONS")
    return sorted(methods)


def errors_of(operation: Operation) -> list[type[LonghandError]]:
    """Every error that an operation may answer: its own, and those common to such routes."""
    documentation = operation.documentation
    found: list[type[LonghandError]] = [LonghandError, errors.Busy, *documentation.errors]
    if documentation.access != "open":
        found += [errors.Unauthorized, errors.Forbidden]
        found += [errors.TooManyRequests, errors.InvalidRequest]
    elif operation.method in _CHANGING:
        found.append(errors.Forbidden)
    if documentation.query or documentation.headers:
        found.append(errors.InvalidRequest)
    if documentation.bodies:
        found += [errors.InvalidRequest, errors.AudioTooLarge]
    return list(dict.fromkeys(found))


def _slug(path: str) -> str:
    return "_".join(word for word in "".join(c if c.isalnum() else " " for c in path).split())
