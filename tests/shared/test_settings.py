"""Settings both services share, read from real environments."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from shared.settings import SharedSettings


def printed(expression, **environment):
    """What a fresh process with these variables prints for an expression of `settings`."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("LONGHAND_")}
    program = (
        f"from shared.settings import SharedSettings as S\nsettings = S()\nprint({expression})"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.rstrip("\n")


def test_settings_are_read_from_variables_that_begin_with_longhand():
    environment = {
        "LONGHAND_REDIS_URL": "redis://:secret@redis:6379/1",
        "LONGHAND_LEASE_S": "12",
        "LONGHAND_DEFAULT_MODEL": " demo ",
    }
    expression = "settings.redis_url.get_secret_value(), settings.lease_s, settings.default_model"

    assert printed(expression, **environment) == "redis://:secret@redis:6379/1 12 demo"


def test_a_printed_setting_hides_the_password():
    settings = SharedSettings(redis_url="redis://:secret@redis:6379/1")

    assert "secret" not in repr(settings)


def test_aliases_reach_the_catalogue():
    settings = SharedSettings(model_aliases="base=demo, house = large-v3,")

    assert settings.catalogue.resolve("base") == "demo"
    assert settings.catalogue.resolve("house") == "large-v3"


@pytest.mark.parametrize("aliases", ["base", "base=demo=small", "a=demo,b"])
def test_an_alias_that_names_no_model_is_refused(aliases):
    with pytest.raises(ValidationError, match="is not `alias=model`"):
        SharedSettings(model_aliases=aliases)


@pytest.mark.parametrize(
    ("field", "value"),
    [("lease_s", 1), ("max_attempts", 0), ("log_level", "loud"), ("log_format", "xml")],
)
def test_a_setting_out_of_bounds_is_refused(field, value):
    with pytest.raises(ValidationError, match=field):
        SharedSettings(**{field: value})


def test_every_setting_is_described():
    fields = SharedSettings.model_fields.items()

    assert [name for name, field in fields if not field.description] == []
