"""
The OpenAPI 3.1 document of the gateway, made from the running application.

Its routes are those of the application. `documented`, beside each view, says what they take and
answer. Schemas are pydantic's, and statuses are those of `gateway.errors`.

We looked at flask-openapi3 and apispec. flask-openapi3 wants to parse bodies and to declare routes;
ours stream bodies into storage, and `documented` also says who may call. apispec only joins dicts;
the schemas are most of the work, and pydantic makes them.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterator
from typing import Any

from flask import Flask
from pydantic import BaseModel
from werkzeug.routing import Rule

from gateway.access.callers import takes_token
from gateway.dialects import AssemblyAIErrorAnswer, DeepgramErrorAnswer, Dialect, dialect_of
from gateway.errors import ErrorAnswer, OpenAIErrorAnswer, status_of
from gateway.openapi.documented import Answer, Body, Header
from gateway.openapi.operations import Operation, errors_of, operations_of
from gateway.openapi.schemas import Schema, Schemas, parameter
from shared.errors import LonghandError
from shared.settings import CHECKOUT

_ABOUT = """\
Speech in, transcripts out. A job is made by an upload or a URL, and its result is read in any \
format, as often as wanted; OpenAI's routes lie under `/v1`, and where Groq and Azure have them. \
If the site has no keys (`LONGHAND_AUTH=off`), a request needs none."""
_SCHEMES: Schema = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of this site."},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
    "token": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "The same key, for requests to which browsers can add no header.",
    },
    "password": {
        "type": "http",
        "scheme": "basic",
        "description": "User and password of a proxy; or any user, and a key as the password.",
    },
}
_PATH: dict[str, Schema] = {
    "job_id": {
        "type": "string",
        "pattern": "^[0-9a-f]{32}$",
        "description": "The job, as the answer that made it named it.",
    },
    "deployment": {
        "type": "string",
        "description": "The name of the model, if the body names none.",
    },
    "model": {"type": "string", "description": "A model by any of its names, slashes included."},
    "upload_id": {
        "type": "string",
        "description": "The upload, as the answer that made it named it.",
    },
}
"""Path parameters by name. A test checks that every one is here."""

_DIALECTS: dict[Dialect, type[BaseModel]] = {
    "deepgram": DeepgramErrorAnswer,
    "assemblyai": AssemblyAIErrorAnswer,
}
_HEADERS: dict[int, dict[str, str]] = {
    401: {"WWW-Authenticate": "How to say who you are."},
    429: {"Retry-After": "Seconds after which to try again."},
    503: {"Retry-After": "Seconds after which to try again."},
}
_IN_BOTH = "Every field but a file may stand in the query instead."
_EVERY_ANSWER: Schema = {
    "X-Request-Id": {
        "description": "The request's id in the logs: the one it was sent with, or a new one.",
        "schema": {"type": "string"},
    },
}
_NO_CONTENT = (101, 204, 205, 304, 307)


def build_document(app: Flask) -> Schema:
    """Build the document of an application; it is the same every time."""
    operations = sorted(operations_of(app), key=lambda o: (o.path, o.method))
    schemas = Schemas(
        [ErrorAnswer, OpenAIErrorAnswer, *_DIALECTS.values(), *_models_of_answers(operations)],
        [
            model
            for operation in operations
            for models in (
                operation.documentation.query,
                *(b.models for b in operation.documentation.bodies),
            )
            for model in models
        ],
    )
    paths: Schema = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _describe(
            operation, schemas
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Longhand", "version": version(), "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(o.documentation.tag for o in operations)],
        "paths": paths,
        "components": {
            "schemas": schemas.named,
            "securitySchemes": _SCHEMES,
            "headers": _EVERY_ANSWER,
        },
    }


def version() -> str:
    """The version of this checkout or image."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def _models_of_answers(operations: list[Operation]) -> Iterator[Any]:
    for operation in operations:
        for answer in operation.documentation.answers.values():
            if answer.model:
                yield answer.model


def _describe(operation: Operation, schemas: Schemas) -> Schema:
    documentation = operation.documentation
    summary, _, more = operation.text.partition("\n")
    description = more.partition("\nArgs:")[0].partition("\nRaises:")[0].strip()
    if documentation.access == "admin":
        description = f"{description}\n\nFor admins.".strip()
    in_body = {model for body in documentation.bodies for model in body.models}
    in_query = [model for model in documentation.query if model not in in_body]
    if len(in_query) < len(documentation.query):
        description = f"{description}\n\n{_IN_BOTH}".strip()
    described: Schema = {
        "operationId": operation.name,
        "tags": [documentation.tag],
        "summary": summary.rstrip("."),
        "security": _security(operation),
        "responses": _responses(operation, schemas),
    }
    if description:
        described["description"] = description
    parameters = [
        *_path_parameters(operation.rule),
        *schemas.query(in_query),
        *(_header_parameter(name, header) for name, header in documentation.headers.items()),
    ]
    if parameters:
        described["parameters"] = parameters
    if documentation.bodies:
        content: Schema = {}
        for body in documentation.bodies:
            content |= _content_of(body, schemas)
        is_required = all(body.is_required for body in documentation.bodies)
        described["requestBody"] = {"required": is_required, "content": content}
    return described


def _security(operation: Operation) -> list[Schema]:
    if operation.documentation.access == "open":
        return []
    may_ask = takes_token(re.sub("{.*?}", "1", operation.path))
    return [{name: []} for name in _SCHEMES if name != "token" or may_ask]


def _path_parameters(rule: Rule) -> list[Schema]:
    return [
        parameter(name, "path", _PATH.get(name, {"type": "string"}), is_required=True)
        for name in sorted(rule.arguments)
    ]


def _header_parameter(name: str, described: str | Header) -> Schema:
    header = Header(described) if isinstance(described, str) else described
    schema = {**header.schema, "description": header.description}
    return parameter(name, "header", schema, header.is_required)


def _content_of(body: Body, schemas: Schemas) -> Schema:
    content: Schema = {}
    for media_type in body.media_types:
        schema: Schema
        if body.is_raw:
            schema = {"type": "string", "format": "binary"}
        elif media_type == "application/json":
            schema = schemas.joined(body.models, allows_others=body.allows_others)
        else:
            schema = schemas.form(body.models, body.files, allows_others=body.allows_others)
        content[media_type] = {"schema": schema}
    return content


def _responses(operation: Operation, schemas: Schemas) -> Schema:
    responses = {
        status: _answer(answer, status, schemas)
        for status, answer in operation.documentation.answers.items()
    }
    by_status: dict[int, list[type[LonghandError]]] = {}
    for error in errors_of(operation):
        by_status.setdefault(status_of(error, operation.rule.rule), []).append(error)
    for status, classes in by_status.items():
        wrong = _error_answer(status, classes, operation, schemas)
        responses[status] = _either(responses[status], wrong) if status in responses else wrong
    everywhere = {name: {"$ref": f"#/components/headers/{name}"} for name in _EVERY_ANSWER}
    return {
        str(status): {**answer, "headers": {**answer.get("headers", {}), **everywhere}}
        for status, answer in sorted(responses.items())
    }


def _answer(answer: Answer, status: int, schemas: Schemas) -> Schema:
    described: Schema = {"description": answer.description or "Done."}
    if answer.headers:
        described["headers"] = _headers(answer.headers)
    is_json = answer.media_types == ("application/json",)
    if status not in _NO_CONTENT and not (answer.model is None and is_json):
        described["content"] = {
            media_type.partition(";")[0]: _media(media_type, answer, schemas)
            for media_type in answer.media_types
        }
    return described


def _media(media_type: str, answer: Answer, schemas: Schemas) -> Schema:
    if media_type == "application/json":
        return {"schema": schemas.answer(answer.model) if answer.model else {}}
    if media_type == "text/event-stream":
        return {"schema": {}}  # of its events, each of which is JSON
    if media_type.startswith("text/") or media_type.startswith("application/x-subrip"):
        return {"schema": {"type": "string"}}
    return {"schema": {"type": "string", "format": "binary"}}


def _error_answer(
    status: int, classes: list[type[LonghandError]], operation: Operation, schemas: Schemas
) -> Schema:
    codes = [error.code for error in classes]
    example: Schema = {"error": _sentence(classes[0]), "code": codes[0]}
    schema: Schema
    if dialect := dialect_of(operation.path):
        schema = schemas.answer(_DIALECTS[dialect])
    elif operation.is_openais:
        narrowed: Schema = {"error": {"properties": {"code": {"enum": codes}}}}
        schema = {"allOf": [schemas.answer(OpenAIErrorAnswer), {"properties": narrowed}]}
    else:
        narrowed = {"code": {"enum": codes}}
        schema = {"allOf": [schemas.answer(ErrorAnswer), {"properties": narrowed}]}
        schema["examples"] = [{"success": False, **example}]
    described: Schema = {
        "description": " ".join(f"`{error.code}`: {_sentence(error)}" for error in classes),
        "content": {"application/json": {"schema": schema}},
    }
    if status in _HEADERS:
        described["headers"] = _headers(_HEADERS[status])
    return described


def _either(answer: Schema, wrong: Schema) -> Schema:
    """The answer of a status that the route and its errors share."""
    schema = answer.get("content", {}).get("application/json", {}).get("schema")
    both = wrong["content"]["application/json"]["schema"]
    if schema is not None:
        both = {"anyOf": [schema, both]}
    return {
        **wrong,
        **answer,
        "description": f"{answer['description']} {wrong['description']}",
        "content": {**answer.get("content", {}), "application/json": {"schema": both}},
        "headers": {**wrong.get("headers", {}), **answer.get("headers", {})},
    }


def _headers(described: Any) -> Schema:
    return {
        name: {"description": what, "schema": {"type": "string"}}
        for name, what in described.items()
    }


def _sentence(error: type[LonghandError]) -> str:
    return (inspect.getdoc(error) or "").partition("\n")[0]
