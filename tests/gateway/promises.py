"""Holds every answer of a test's gateway to what its OpenAPI document promises."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
from flask import Flask, Response, request

from gateway.openapi.document import build_document
from gateway.openapi.operations import methods_of, operations_of, path_of

_EVERYWHERE = (304, 405)  # what HTTP itself answers, whatever a route does


class _Document:
    """
    The OpenAPI document of an application, built once for all that have the same routes.

    Attributes:
        operations: Path, method and documentation of each route, by which documents are told apart.
        value: The document.
    """

    _built: list[_Document] = []

    def __init__(self, app: Flask, operations: list[object]) -> None:
        self.operations = operations
        self.value = build_document(app)
        self._validators: dict[int, jsonschema_rs.Draft202012Validator] = {}

    @classmethod
    def of(cls, app: Flask) -> _Document:
        """The document of an application."""
        operations: list[object] = [(o.path, o.method, o.documentation) for o in operations_of(app)]
        for document in cls._built:
            if document.operations == operations:
                return document
        cls._built.append(cls(app, operations))
        return cls._built[-1]

    def validator(self, schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
        """What checks values by a schema that is a part of the document."""
        if id(schema) not in self._validators:
            whole = {**schema, "components": self.value["components"]}
            self._validators[id(schema)] = jsonschema_rs.Draft202012Validator(whole)
        return self._validators[id(schema)]


class Promises:
    """
    What an application promises of its answers.

    Attributes:
        broken: A sentence for each answer that no promise was made of.
    """

    def __init__(self, app: Flask) -> None:
        self._document = _Document.of(app)
        self.broken: list[str] = []
        app.after_request(self._check)

    def _check(self, answer: Response) -> Response:
        rule = request.url_rule
        if rule is None or answer.status_code in _EVERYWHERE:
            return answer
        if request.method not in methods_of(rule):  # HEAD and OPTIONS, which Flask answers
            return answer
        operation = self._document.value["paths"].get(path_of(rule), {}).get(request.method.lower())
        if operation is None:
            return answer  # a test of its own finds routes that say nothing
        promised = operation["responses"].get(str(answer.status_code))
        where = f"{request.method} {rule.rule} answered {answer.status_code}"
        if promised is None:
            self.broken.append(f"{where}, which is not documented: {_start(answer)}")
        else:
            self._check_content(answer, promised.get("content", {}), where)
        return answer

    def _check_content(self, answer: Response, content: dict[str, Any], where: str) -> None:
        media_type = answer.mimetype
        if not content and not answer.is_streamed and not answer.get_data():
            return
        kind = f"{(media_type or '').partition('/')[0]}/*"
        if kind in content:
            return
        if media_type not in content:
            self.broken.append(f"{where} as {media_type}, which is not documented")
        elif media_type == "application/json" and not answer.is_streamed:
            validator = self._document.validator(content[media_type]["schema"])
            self.broken += [
                f"{where}: {error.message} at {error.instance_path}"
                for error in validator.iter_errors(answer.get_json())
            ]


def _start(answer: Response) -> str:
    return "" if answer.is_streamed else answer.get_data(as_text=True)[:300]
