"""Writes the documents that are made from code; `documents` lists them."""

from __future__ import annotations

import inspect
import json
import re
import sys
import tempfile
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
import click
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.app import create_app
from gateway.errors import STATUSES
from gateway.openapi.document import build_document
from gateway.settings import GatewaySettings
from shared.chinese import VARIANTS
from shared.formats import FORMATS, FormatOptions, formats_with
from shared.request import TranscriptionRequest
from shared.settings import CHECKOUT, SharedSettings
from shared.wire import Threshold
from tools.modules import modules_page
from worker.settings import WorkerSettings

PREFIX = "LONGHAND_"
SECTIONS: Mapping[str, type[SharedSettings]] = {
    "Gateway and worker": SharedSettings,
    "Gateway": GatewaySettings,
    "Worker": WorkerSettings,
}

_SETTINGS_HEAD = """\
# Settings

Everything an operator can change. Each setting is an environment variable. A process reads its
settings when it starts, and refuses to start on a value that it does not understand.
`./longhand check` says which settings are wrong, and finds misspelt names too. `.env.example` holds
the same list, to copy from.

This page is written by `make docs` from the code; changes to it by hand are lost.
"""
_EXAMPLE_HEAD = """\
# Every setting of Longhand with its default. Copy this file to `.env`, change what you need, and
# name it where gateway and workers are started: as `env_file` of compose, `EnvironmentFile` of
# systemd, or `set -a; . ./.env` in a shell.
# Written by `make docs` from the code; docs/settings.md says the same with what each may be.
"""
_REDIS_HEAD = """\
# What stands in Redis

Every key of Longhand. A part in braces differs from key to key. Beside these there are RQ's own
keys, which begin with `rq:`; they only deliver, and may be lost without harm.

This page is written by `make docs` from `shared/keys.py`; changes to it by hand are lost.

| key | type | what it holds | written by | how long it lives |
|---|---|---|---|---|
"""
_KINDS: Mapping[object, str] = {
    bool: "`true` or `false`",
    float: "number",
    int: "whole number",
    Path: "path",
    SecretStr: "text, kept out of logs",
    str: "text",
}
_BOUNDS: Mapping[type, tuple[str, str]] = {
    annotated_types.Ge: ("ge", "at least"),
    annotated_types.Gt: ("gt", "more than"),
    annotated_types.Le: ("le", "at most"),
    annotated_types.Lt: ("lt", "less than"),
}


def documents() -> dict[Path, str]:
    """What every written file should hold."""
    http = CHECKOUT / "docs" / "http.md"
    return {
        CHECKOUT / "docs" / "modules.md": modules_page(CHECKOUT),
        CHECKOUT / "docs" / "settings.md": settings_page(),
        CHECKOUT / ".env.example": example_environment(),
        CHECKOUT / "docs" / "openapi.json": openapi_document(),
        CHECKOUT / "docs" / "redis.md": redis_page(),
        http: with_tables(http.read_text(encoding="utf-8")),
    }


def settings_page() -> str:
    """A table of settings for each process."""
    parts = [_SETTINGS_HEAD]
    for title, settings in SECTIONS.items():
        parts.append(f"\n## {title}\n\n| variable | default | what it may be | what it is |\n")
        parts.append("|---|---|---|---|\n")
        parts.extend(
            f"| `{variable(name)}` | {_setting_cell(field)} | {allowed(field)} "
            f"| {field.description} |\n"
            for name, field in own_fields(settings)
        )
    return "".join(parts)


def example_environment() -> str:
    """Every setting, commented out, after the sentence that says what it is."""
    parts = [_EXAMPLE_HEAD]
    for title, settings in SECTIONS.items():
        parts.append(f"\n# --- {title} ---\n")
        parts.extend(
            f"\n# {field.description}\n# {variable(name)}={default_text(field) or ''}\n"
            for name, field in own_fields(settings)
        )
    return "".join(parts)


def with_tables(page: str) -> str:
    """A page with each `<!-- table: name -->` … `<!-- end -->` filled from the code."""
    tables = {
        "options": options_table,
        "formats": formats_table,
        "format_options": format_options_table,
        "variants": variants_table,
        "errors": errors_table,
    }
    return re.sub(
        r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}\n{tables[found[2]]()}\n{found[3]}",
        page,
        flags=re.DOTALL,
    )


def openapi_document() -> str:
    """The document that `/openapi.json` answers."""
    with tempfile.TemporaryDirectory() as folder:
        document = build_document(create_app(GatewaySettings(storage_dir=Path(folder))))
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def options_table() -> str:
    """The fields of a request."""
    rows = (
        f"| `{name}` | {_cell(default_text(field))} | {allowed(field)} | {field.description} |\n"
        for name, field in TranscriptionRequest.model_fields.items()
    )
    return "| field | default | what it may be | what it is |\n|---|---|---|---|\n" + "".join(rows)


def formats_table() -> str:
    """The formats of a result."""
    rows = (
        f"| `{known.name}` | `{known.media_type}` | {_first_sentence(known.render)} |\n"
        for known in FORMATS.values()
    )
    return "| format | Content-Type | what it holds |\n|---|---|---|\n" + "".join(rows)


def format_options_table() -> str:
    """The options of formats, and the formats that have them."""
    rows = (
        f"| `{name}` | {_cell(default_text(field))} | {allowed(field)} "
        f"| {', '.join(f'`{known}`' for known in formats_with(name))} | {field.description} |\n"
        for name, field in FormatOptions.model_fields.items()
    )
    head = "| option | default | what it may be | formats | what it is |\n|---|---|---|---|---|\n"
    return head + "".join(rows)


def variants_table() -> str:
    """The scripts that Chinese can be read in."""
    rows = (f"| `{name}` | {what} |\n" for name, what in VARIANTS.items())
    return "| chinese | what is read |\n|---|---|\n" + "".join(rows)


def errors_table() -> str:
    """Every code that an answer may have, by HTTP status."""
    rows = (
        f"| {status} | `{error.code}` | {_first_sentence(error)} |\n"
        for error, status in sorted(STATUSES.items(), key=lambda item: (item[1], item[0].code))
        if not error.__subclasses__() or error.code in ("invalid_request", "engine_failed")
    )
    return "| HTTP | code | when |\n|--:|---|---|\n" + "".join(rows)


def redis_page() -> str:
    """What stands in Redis, key by key, by the rows below the keys in `shared/keys.py`."""
    source = (CHECKOUT / "shared" / "keys.py").read_text(encoding="utf-8")
    found = re.findall(
        r'^[A-Z_]+ = Key\("([^"]+)"\)\n"""(.+?)"""', source, re.MULTILINE | re.DOTALL
    )
    rows = (f"| `{key}` | {' '.join(row.split())} |\n" for key, row in found)
    return _REDIS_HEAD + "".join(rows)


def variable(name: str) -> str:
    """
    The environment variable of a setting.

    >>> variable("lease_s")
    'LONGHAND_LEASE_S'
    """
    return PREFIX + name.upper()


def own_fields(settings: type[SharedSettings]) -> Iterator[tuple[str, FieldInfo]]:
    """The fields that a class adds to those of `SharedSettings`."""
    for name, field in settings.model_fields.items():
        if settings is SharedSettings or name not in SharedSettings.model_fields:
            yield name, field


def default_text(field: FieldInfo) -> str | None:
    """A default as it is written in the environment; None if there is none."""
    default: Any = field.default
    if isinstance(field.json_schema_extra, dict):  # for a default that depends on the machine
        default = field.json_schema_extra.get("shown", default)
    if default is PydanticUndefined or default is None:
        return None
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, Path) and default.is_relative_to(CHECKOUT):
        return str(default.relative_to(CHECKOUT))
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ",".join(map(str, default)) or None
    return f"{default:.15g}" if isinstance(default, float) else str(default)


def allowed(field: FieldInfo) -> str:
    """What a setting may be, in words."""
    kind: Any = field.annotation
    if get_origin(kind) in (types.UnionType, Union):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    bounds = [
        f"{word} {getattr(limit, name):.15g}"
        for limit in field.metadata
        for name, word in [_BOUNDS.get(type(limit), ("", ""))]
        if name
    ]
    if get_origin(kind) is tuple:
        items = get_args(kind)[0]
        return "numbers with commas" if items in (int, float) else "text, as often as wanted"
    off = " or `none`" if Threshold.__metadata__[0] in field.metadata else ""
    kinds = {dict: "JSON object", **_KINDS}
    return ", ".join([kinds.get(get_origin(kind) or kind, "text"), *bounds]) + off


def _first_sentence(documented: object) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0]


def _setting_cell(field: FieldInfo) -> str:
    # Without any default, the process sets it when it starts.
    return _cell(default_text(field), none="none" if field.default is None else "set at start")


def _cell(default: str | None, *, none: str = "none") -> str:
    return {None: none, "": "empty"}.get(default, f"`{default}`")


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if a file is stale.")
def main(check: bool) -> None:
    """Write every document that is made from code."""
    stale = [path for path, text in documents().items() if not _holds(path, text)]
    for path in stale:
        if check:
            click.echo(f"{path.relative_to(CHECKOUT)} is stale; run `make docs`", err=True)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(documents()[path], encoding="utf-8")
            click.echo(f"wrote {path.relative_to(CHECKOUT)}")
    sys.exit(1 if check and stale else 0)


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    main()
