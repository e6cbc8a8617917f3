"""Settings both services share, read from real environments."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from gateway.settings import GatewaySettings
from shared.settings import SharedSettings, describe_problems
from worker.settings import WorkerSettings


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


def problems(settings, **fields):
    """How the problems of settings are described."""
    with pytest.raises(ValidationError) as caught:
        settings(**fields)
    return describe_problems(caught.value, settings)


@pytest.mark.parametrize(
    ("settings", "fields", "sentence"),
    [
        (SharedSettings, {"lease_s": "1"}, "LONGHAND_LEASE_S is 1; it must be at least 5"),
        (SharedSettings, {"log_level": "loud"}, "LONGHAND_LOG_LEVEL is 'loud'; it must be 'debug'"),
        (SharedSettings, {"model_aliases": "a"}, "LONGHAND_MODEL_ALIASES: 'a' is not `alias=model"),
        (WorkerSettings, {"slots": "many"}, "LONGHAND_SLOTS is 'many'; it must be a whole number"),
        (WorkerSettings, {"device": "gpu"}, "LONGHAND_DEVICE is 'gpu'; it must be "),
        (WorkerSettings, {"stall_s": "0"}, "LONGHAND_STALL_S is 0; it must be more than 0"),
    ],
)
def test_a_problem_names_the_variable_its_value_and_what_it_must_be(settings, fields, sentence):
    [problem] = problems(settings, **fields)

    assert problem.startswith(sentence)


def test_settings_that_do_not_go_together_are_named_by_their_variables():
    [problem] = problems(GatewaySettings, threads=4, waiting_slots=4)

    assert problem.startswith("LONGHAND_WAITING_SLOTS is 4; it must be less than LONGHAND_THREADS")


@pytest.mark.parametrize("settings", [GatewaySettings, WorkerSettings])
def test_a_default_model_that_can_be_none_is_named_alike_by_both_services(settings):
    [problem] = problems(settings, default_model="../large")

    assert problem.startswith("LONGHAND_DEFAULT_MODEL is '../large', which is no model we know")


@pytest.mark.parametrize("settings", [GatewaySettings, WorkerSettings])
def test_the_default_model_may_be_one_of_the_operators_own(settings):
    site = settings(default_model="house", model_aliases="short=house")

    assert site.catalogue.resolve(None) == site.catalogue.resolve("short") == "house"


def test_a_secret_is_never_shown_with_what_is_wrong_with_it():
    found = problems(GatewaySettings, redis_url=["hidden"], threads=1, waiting_slots=1)

    assert found[0].startswith("LONGHAND_REDIS_URL must be")
    assert "hidden" not in "".join(found)
