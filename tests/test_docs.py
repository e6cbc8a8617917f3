"""What is documented is there, and what is there is documented."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections import Counter
from typing import get_args

import pytest
from source_code import ROOT

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


def test_every_route_has_a_section(page, routes):
    text = "\n".join(page(f"docs/{path.name}") for path in (ROOT / "docs").glob("*.md"))
    headings = re.findall(r"^#+ .*$", text, flags=re.MULTILINE)
    documented = {route for line in headings for route in re.findall(r"`([A-Z]+ /[^`]*)`", line)}

    assert (documented - routes, routes - documented) == (set(), set())


def test_the_readme_names_every_route(page, routes):
    """Those of monitors and proxies alone it leaves to docs/http.md."""
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
    """Both are often started from one file of variables."""
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


@pytest.mark.parametrize("source", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_link_to_a_file_leads_to_one(page, source):
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page(source))

    assert [link for link in links if not (ROOT / link).exists()] == []
