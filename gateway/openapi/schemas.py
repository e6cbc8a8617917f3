"""JSON Schemas of what routes take and answer, made from pydantic models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from shared.wire import ALIASES

Schema = dict[str, Any]
Model = type[BaseModel]

_REF = "#/components/schemas/{model}"
_NUMBER = {"integer": "-?[0-9]+", "number": r"-?[0-9]+(\.[0-9]+)?"}
_NULL: Schema = {"type": "null"}
_FILE: Schema = {"type": "string", "format": "binary"}


class Schemas:
    """
    The named schemas of one document.

    Args:
        answers: Models of answers.
        taken: Models of queries and bodies.
    """

    def __init__(self, answers: Iterable[Model], taken: Iterable[Model]) -> None:
        wanted: list[tuple[Model, Any]] = [(m, "serialization") for m in dict.fromkeys(answers)]
        wanted += [(m, "validation") for m in dict.fromkeys(taken)]
        self._refs, found = models_json_schema(wanted, ref_template=_REF)
        self.named: dict[str, Schema] = {
            name: _plain(schema) for name, schema in found.get("$defs", {}).items()
        }

    def answer(self, model: Model) -> Schema:
        """A reference to the schema of an answer."""
        return dict(self._refs[model, "serialization"])

    def fields(self, model: Model) -> tuple[dict[str, Schema], list[str]]:
        """The fields of a query or body with their schemas, and the names of the required ones."""
        name = self._refs[model, "validation"]["$ref"].rpartition("/")[2]
        schema = self.named[name]
        return schema.get("properties", {}), schema.get("required", [])

    def joined(self, models: Iterable[Model], *, allows_others: bool) -> Schema:
        """The schema of a JSON object with the fields of several models."""
        properties, required = self._joined(models)
        return _object(properties, required, allows_others=allows_others)

    def form(
        self, models: Iterable[Model], files: tuple[str, ...], *, allows_others: bool
    ) -> Schema:
        """The schema of a multipart form of files and of fields, which are all text."""
        properties, required = self._joined(models)
        written = {name: as_text(schema) for name, schema in properties.items()}
        uploads = {name: _upload(name) for name in files}
        needed = [name for name in files[:1] if not name.endswith("[]")]
        return _object({**uploads, **written}, [*needed, *required], allows_others=allows_others)

    def query(self, models: Iterable[Model]) -> list[Schema]:
        """The parameters of a query."""
        properties, required = self._joined(models)
        return [
            parameter(name, "query", schema, name in required)
            for name, schema in properties.items()
        ]

    def _joined(self, models: Iterable[Model]) -> tuple[dict[str, Schema], list[str]]:
        properties: dict[str, Schema] = {}
        required: list[str] = []
        for model in models:
            own, needed = self.fields(model)
            properties |= own
            required += needed
        for alias, name in ALIASES.items():
            if name in properties and alias not in properties:
                described = f"Another name of `{name}`."
                properties[alias] = {**properties[name], "description": described}
        return properties, required


def parameter(name: str, place: str, schema: Mapping[str, Any], is_required: bool) -> Schema:
    """One parameter of a query, a path or a header; all of them are text."""
    written = as_text(schema)
    described: Schema = {"name": name, "in": place}
    if description := written.pop("description", None):
        described["description"] = description
    if is_required:
        described["required"] = True
    return {**described, "schema": written}


def as_text(schema: Mapping[str, Any]) -> Schema:
    """
    The schema of a field in a query, header or form: no null, and lists of numbers with commas.

    >>> as_text({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "default": None})
    {'type': 'integer', 'minimum': 1}
    """
    written = dict(schema)
    default = written.get("default")
    if written.get("type") == "array" and _items(written) in _NUMBER:
        number = _NUMBER[_items(written)]
        pattern = rf"^\[?({number}(, ?{number})*)?\]?$"
        written = {"type": "string", "pattern": pattern, **_kept(written)}
        if default:
            written["default"] = ",".join(map(str, default))
        else:
            written.pop("default", None)
    elif written.get("type") == "object":
        return {"type": "string", "contentMediaType": "application/json", **_kept(written)}
    choices = list(written.pop("anyOf", []))
    if _NULL in choices:
        choices.remove(_NULL)
        if default is not None:  # null differs from leaving the field out
            choices.append({"type": "string", "enum": ["none", "null"]})
    if len(choices) == 1:
        written = {**as_text(choices[0]), **written}
    elif choices:
        written["anyOf"] = [as_text(choice) for choice in choices]
    if written.get("default", "") is None or written.get("default") == []:
        del written["default"]
    return written


def _upload(name: str) -> Schema:
    if name.endswith("[]"):
        return {"type": "array", "items": _FILE, "description": "Audio or video, several of them."}
    return {**_FILE, "description": "The audio or video."}


def _items(schema: Mapping[str, Any]) -> str:
    return str(schema.get("items", {}).get("type"))


def _kept(schema: Mapping[str, Any]) -> Schema:
    return {name: schema[name] for name in ("description", "examples") if name in schema}


def _object(properties: Schema, required: list[str], *, allows_others: bool) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if not allows_others:
        schema["additionalProperties"] = False
    return schema


def _plain(value: Any, *, is_properties: bool = False) -> Any:
    """The schema without the titles that pydantic makes from names."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _plain(item, is_properties=name in ("properties", "$defs") and not is_properties)
        for name, item in value.items()
        if is_properties or name != "title" or not isinstance(item, str)
    }
