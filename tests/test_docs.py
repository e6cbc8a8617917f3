"""What is documented is there, and what is there is documented."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from source_code import ROOT

from shared import keys
from shared.chinese import VARIANTS
from shared.formats import FORMATS
from shared.settings import SharedSettings


@pytest.fixture(scope="module")
def page():
    """A document's text by its path."""
    return lambda path: (ROOT / path).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def routes(tmp_path_factory):
    """Every `METHOD /path` the gateway answers, as documents write them."""
    from gateway.app import create_app
    from gateway.settings import GatewaySettings

    settings = GatewaySettings(storage_dir=tmp_path_factory.mktemp("storage"))
    app = create_app(settings)
    return {
        f"{method} {re.sub('<(?:[^:>]+:)?([^>]+)>', as_braces, rule.rule)}"
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }


def as_braces(found):
    """`<job_id>` as `{job_id}`."""
    return "{" + found[1] + "}"


def test_what_is_written_from_code_is_up_to_date():
    checked = subprocess.run(
        [sys.executable, "-m", "tools.docs", "--check"], cwd=ROOT, capture_output=True, text=True
    )

    assert (checked.stderr, checked.returncode) == ("", 0)


def test_every_key_of_redis_has_a_row(page):
    kinds = {"any", "hash", "list", "set", "sorted set", "stream", "string"}
    rows = re.findall(r"^\| `(longhand:.+?)` \| (.*?) \|$", page("docs/redis.md"), re.MULTILINE)
    known = [value for value in vars(keys).values() if isinstance(value, keys.Key)]

    assert [key for key, _ in rows] == known
    assert [
        row for _, row in rows if row.count(" | ") != 3 or row.split(" | ")[0] not in kinds
    ] == []


def test_every_route_has_a_section(page, routes):
    text = "\n".join(page(f"docs/{path.name}") for path in (ROOT / "docs").glob("*.md"))
    headings = re.findall(r"^#+ .*$", text, flags=re.MULTILINE)
    documented = {route for line in headings for route in re.findall(r"`([A-Z]+ /[^`]*)`", line)}

    assert (documented - routes, routes - documented) == (set(), set())


def test_the_readme_names_every_route(page, routes):
    """Except the routes that only proxies call: docs/http.md has them."""
    listed = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`?]*)[^`]*`", page("README.md")))

    assert listed <= routes
    assert routes - listed <= {"GET /_auth"}


def test_every_setting_is_documented_once(page):
    documented = Counter(
        re.findall(r"^\| `(LONGHAND_\w+)`", page("docs/settings.md"), re.MULTILINE)
    )
    examples = Counter(re.findall(r"^# (LONGHAND_\w+)=", page(".env.example"), re.MULTILINE))

    assert {name for name, n in documented.items() if n > 1} == set()
    assert examples == documented


def test_a_variable_means_one_thing_to_gateway_and_worker():
    """Both often read the same file of variables."""
    from gateway.settings import GatewaySettings
    from worker.settings import WorkerSettings

    in_both = GatewaySettings.model_fields.keys() & WorkerSettings.model_fields.keys()

    assert in_both - SharedSettings.model_fields.keys() == set()


def test_a_setting_without_a_default_is_not_said_to_have_one(page):
    rows = {row.split("`")[1]: row for row in page("docs/settings.md").splitlines() if "| `" in row}

    assert rows["LONGHAND_CA_FILE"].startswith("| `LONGHAND_CA_FILE` | none |")
    assert rows["LONGHAND_NAME"].startswith("| `LONGHAND_NAME` | set at start |")


def test_every_setting_says_what_it_is():
    from gateway.settings import GatewaySettings
    from worker.settings import WorkerSettings

    for settings in (GatewaySettings, WorkerSettings):
        silent = [name for name, f in settings.model_fields.items() if not f.description]
        assert silent == [], settings


def test_the_page_offers_every_format(page):
    offered = re.search(r"^const FORMATS = (\[.*\]);", page("gateway/web/page.js"), re.MULTILINE)

    assert sorted(json.loads(offered[1])) == sorted(FORMATS)


def test_the_page_offers_every_script_of_chinese(page):
    listed = page("gateway/web/index.html").partition('<select name="chinese">')[2]
    offered = re.findall(r'<option value="(\w*)">', listed.partition("</select>")[0])

    assert offered == ["", *VARIANTS]


def test_every_engine_may_be_set_and_is_documented(page):
    from gateway.submission.engines import _OURS
    from worker.engines import ENGINES
    from worker.settings import WorkerSettings

    choices = get_args(WorkerSettings.model_fields["engine"].annotation)

    assert set(choices) == set(ENGINES) == set(_OURS)
    assert [name for name in ENGINES if f"`{name}`" not in page("docs/operating.md")] == []


def test_everything_that_compose_reads_from_the_environment_is_documented(page):
    read = {
        name
        for file in ROOT.glob("compose*.yaml")
        for name in re.findall(r"\$\{(\w+)", file.read_text(encoding="utf-8"))
    }
    rows = re.findall(r"^\| (`.*?) \|", page("docs/deploy.md"), re.MULTILINE)

    assert read - {name for row in rows for name in re.findall("`([A-Z_]+)`", row)} == set()


def test_the_readme_counts_the_commands_of_a_deployment(page):
    section = page("README.md").partition("## Deployment\n")[2].partition("\n## ")[0]

    assert "Three commands" in section
    assert len(re.findall(r"^\$ ", section, re.MULTILINE)) == 3


def test_every_command_is_documented(page):
    from cli.__main__ import longhand

    documented = set(re.findall(r"^\| `./longhand ([a-z-]+)", page("docs/operating.md"), re.M))

    assert documented == set(longhand.commands)


def test_every_make_target_that_the_guides_name_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", page("Makefile"), re.MULTILINE))
    guides = (
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/http.md",
        "docs/operating.md",
        "docs/deploy.md",
    )
    named = {name for g in guides for name in re.findall(r"(?:`|\$ )make ([a-z-]+)", page(g))}

    assert named - targets == set()


def test_the_changelog_begins_with_the_version_that_is_built(page):
    version = tomllib.loads(page("pyproject.toml"))["project"]["version"]
    first = re.search(r"^## \[?(\d+\.\d+\.\d+)", page("CHANGELOG.md"), re.MULTILINE)

    assert first is not None
    assert first[1] == version


GUIDES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")
PAGES = tuple(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))


def links_of(text):
    """Where a page leads to: `(file, heading)`, either of which may be empty."""
    return re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)", text)


def anchors_of(text):
    """The headings of a page, as GitHub's links name them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("source", [*GUIDES, *PAGES])
def test_every_link_leads_to_a_file_and_a_heading(page, source):
    lost = [
        (file, heading)
        for file, heading in links_of(page(source))
        for target in [(ROOT / source).parent / file if file else ROOT / source]
        if not target.exists()
        or (heading and heading not in anchors_of(target.read_text(encoding="utf-8")))
    ]

    assert lost == []


def test_every_page_is_linked_from_another(page):
    linked = {
        ((ROOT / source).parent / file).resolve()
        for source in (*GUIDES, *PAGES)
        for file, _ in links_of(page(source))
        if file and Path(source).name != file
    }

    assert [name for name in PAGES if ROOT / name not in linked] == []


def test_the_architecture_is_read_in_five_minutes(page):
    assert len(page("ARCHITECTURE.md").splitlines()) <= 150


def test_every_module_and_room_says_what_it_holds(page):
    modules = page("docs/modules.md")
    silent = re.findall(r"^\| `([^`]+)` \| +\|$|^##+ `([^`]+)`\n\n\n", modules, re.MULTILINE)

    assert silent == []


def test_the_functions_that_contributing_shows_are_ours(page):
    sources = [
        path.read_text("utf-8") for n in ("shared", "tests") for path in (ROOT / n).rglob("*.py")
    ]
    shown = re.findall(r"^def .*:$", page("CONTRIBUTING.md"), re.MULTILINE)

    assert [line for line in shown if not any(line in text for text in sources)] == []
