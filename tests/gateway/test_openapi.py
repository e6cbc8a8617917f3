"""The OpenAPI document says all there is to know of every route, and `/docs` shows it."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31
from source_code import ROOT, modules

from gateway.app import create_app
from gateway.openapi.document import build_document, version
from gateway.openapi.documented import documentation_of
from gateway.openapi.operations import methods_of
from shared.errors import error_classes

READS_QUERIES = {
    "gateway/access/auth.py": "`token`, which is a security scheme",
    "gateway/reading/bodies.py": "options beside a body, which are fields of models",
    "gateway/reading/forms.py": "options beside an upload, which are fields of models",
    "gateway/routes/transcribe.py": "options beside an upload, which are fields of models",
    "gateway/deepgram/reading.py": "options, which are fields of models; others are named as such",
    "gateway/reading/fields.py": "`read_query` reads what a model names",
    "gateway/routes/assemblyai.py": "by the models that each route names; others mean nothing",
    "gateway/routes/asr.py": "`encode`, which its query model names",
    "gateway/routes/batches.py": "options of a batch, which are fields of models",
    "gateway/routes/events.py": "hands it on as it came, to gateway.live, which reads it",
    "gateway/routes/models.py": "`POST /reload` refuses any",
    "gateway/routes/results.py": "those of `ResultQuery` and `FormatOptions`; others are refused",
}
"""Modules that read a query themselves, and why no parameter can stay unsaid."""

NEVER_RAISED = {"audio_error", "access_denied"}
"""Codes of classes that only join others."""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A gateway that nobody calls."""
    from gateway.settings import GatewaySettings

    return create_app(GatewaySettings(storage_dir=tmp_path_factory.mktemp("storage")))


@pytest.fixture(scope="module")
def document(app):
    """Its document."""
    return build_document(app)


@pytest.fixture(scope="module")
def operations(document):
    """Every operation by `GET /path`."""
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_is_documented(app):
    silent = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in methods_of(rule)
        if documentation_of(app.view_functions[rule.endpoint]) is None
    }

    assert silent == set()


def test_every_documented_route_is_described(operations):
    unsaid = {
        name
        for name, operation in operations.items()
        if not operation["summary"]
        or not any(status.startswith(("2", "3")) for status in operation["responses"])
    }

    assert unsaid == set()


def test_every_parameter_is_described(operations):
    unsaid = {
        f"{name} {parameter['name']}"
        for name, operation in operations.items()
        for parameter in operation.get("parameters", [])
        if not parameter.get("description")
    }

    assert unsaid == set()


def test_every_field_of_a_body_is_described(operations):
    unsaid = {
        f"{name} {field}"
        for name, operation in operations.items()
        for media in operation.get("requestBody", {}).get("content", {}).values()
        for field, schema in media["schema"].get("properties", {}).items()
        if not schema.get("description")
    }

    assert unsaid == set()


def test_no_route_reads_its_query_past_what_it_documents():
    reads = {
        module.path
        for module in modules("gateway")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in ("request.args", "request.values", "request.query_string")
    }

    assert reads == set(READS_QUERIES)


def test_every_error_is_an_answer_of_some_route(document):
    codes = {error.code for error in error_classes()} - NEVER_RAISED
    named = set(re.findall(r"`([a-z_]+)`:", json.dumps(document["paths"])))

    assert codes - named == set()


def test_every_operation_has_a_name_of_its_own(operations):
    names = Counter(operation["operationId"] for operation in operations.values())

    assert {name: n for name, n in names.items() if n > 1} == {}


def test_the_document_is_openapi_3_1(document):
    validator = jsonschema_rs.validator_for(OPENAPI_31)

    assert [error.message for error in validator.iter_errors(document)] == []


def test_every_reference_leads_somewhere(document):
    references = set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(document)))

    assert references - document["components"]["schemas"].keys() == set()


def test_every_schema_is_one(document):
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})


def test_the_document_is_the_same_every_time(app, document):
    assert json.dumps(build_document(app)) == json.dumps(document)


def test_the_document_is_served_and_may_be_kept(client):
    whole = client.get("/openapi.json")
    again = client.get("/openapi.json", headers={"If-None-Match": whole.headers["ETag"]})

    assert (whole.status_code, whole.json["info"]["version"]) == (200, version())
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.promise("S3-04")
def test_the_page_of_the_document_needs_no_other_host(client):
    with client.get("/docs") as page:
        named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        policy = page.headers["Content-Security-Policy"]
    statuses = []
    for path in named:
        with client.get(path) as answer:
            statuses.append(answer.status_code)

    assert len(named) > 3
    assert statuses == [200] * len(named)
    assert "script-src 'self';" in policy and "http" not in policy


def test_what_the_page_brings_along_has_its_licence_beside_it():
    folder = ROOT / "gateway" / "web" / "swagger"

    assert "Apache License" in (folder / "LICENSE").read_text()
