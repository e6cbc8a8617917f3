"""The settings that gateway and worker share. Operators change them, callers cannot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared.catalogue import Catalogue
from shared.problems import describe_problem

CHECKOUT = Path(__file__).resolve().parents[1]
BASE_NAMES: Mapping[str, str] = {
    "WHISPER__MODEL": "default_model",
    "FASTERWHISPER_MODEL": "default_model",
}


class SharedSettings(BaseSettings):
    """Settings, read from `LONGHAND_…` variables once, in `__main__`."""

    model_config = SettingsConfigDict(env_prefix="LONGHAND_", frozen=True, extra="ignore")

    older_names: ClassVar[Mapping[str, str]] = BASE_NAMES
    """Fields, by the variables of older systems. `LONGHAND_…` variables go first."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then `LONGHAND_…` variables, then variables of older systems."""
        return (init_settings, env_settings, _OlderVariables(settings_cls))

    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="Redis, password included: `redis://:password@host:6379/0`.",
    )
    storage_dir: Path = Field(
        Path("data/storage"),
        description="Directory of uploads and results; gateway and workers need the same one.",
    )
    default_model: str = Field(
        "small", description="Model of requests that name none; workers load it when they start."
    )
    model_aliases: str = Field(
        "",
        description="Other names for models, before the catalogue's: `base=demo,house=large-v3`.",
    )
    lease_s: int = Field(
        30, ge=5, description="Seconds of a worker's silence after which its jobs go to another."
    )
    max_attempts: int = Field(
        3,
        ge=1,
        description="Attempts at a job whose workers die, before it fails with `worker_lost`.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Less severe lines are not logged."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Log lines are `text`, or `json` objects."
    )
    log_file: str = Field(
        "", description="File that gets all log lines too, such as `logs/app.log`; empty for none."
    )

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("redis://", "rediss://", "unix://")):
            raise ValueError("it must begin with `redis://`, `rediss://` or `unix://`")
        return value

    @field_validator("model_aliases")
    @classmethod
    def _pairs(cls, value: str) -> str:
        for pair in filter(None, value.split(",")):
            if pair.count("=") != 1:
                raise ValueError(f"{pair!r} is not `alias=model`")
        return value

    @field_validator("default_model")
    @classmethod
    def _no_spaces(cls, value: str) -> str:
        return value.strip()

    @model_validator(mode="after")
    def _default_model_is_known(self) -> Self:
        if self.catalogue.resolve(None) is None:
            raise ValueError(
                f"LONGHAND_DEFAULT_MODEL is {self.default_model!r}, which is no model we know; "
                f"one of them is 'small'"
            )
        return self

    @cached_property
    def catalogue(self) -> Catalogue:
        """The model catalogue with this site's aliases and default."""
        pairs = (pair.split("=") for pair in filter(None, self.model_aliases.split(",")))
        return Catalogue(self.default_model, {a.strip(): b.strip() for a, b in pairs})


class _OlderVariables(PydanticBaseSettingsSource):
    """Values from variables of older systems."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """The value of one field; None if no such variable is set."""
        older = getattr(self.settings_cls, "older_names", BASE_NAMES)
        for name, value in _set_variables(older).items():
            if older[name] == field_name and _is_usable(field_name, value):
                return value, field_name, False
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The value of every field that has one."""
        fields = self.settings_cls.model_fields.items()
        found = {name: self.get_field_value(field, name)[0] for name, field in fields}
        return {name: value for name, value in found.items() if value is not None}


def describe_older(
    settings: type[SharedSettings], *, others: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    """
    A sentence for each variable of an older system that is set, with our name for it.

    Args:
        others: Variables for which we have no setting, and what to do instead.
    """
    told = [f"{name} has no use here: {others[name]}" for name in _set_variables(others)]
    for name, value in _set_variables(settings.older_names).items():
        field = settings.older_names[name]
        ours = variable(field)
        if ours in os.environ:
            told.append(f"{name} is passed over, since {ours} is set")
        elif _is_usable(field, value):
            told.append(f"{name} is read as {ours}, which is its name here")
        else:
            told.append(f"{name} is {value[:200]!r}, which {ours} cannot be; see docs/settings.md")
    return told


def _set_variables(names: Mapping[str, str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if os.environ.get(name)}


def _is_usable(field: str, value: str) -> bool:
    """Whether a value means the same for us; paths of models and lists do not."""
    if field == "default_model":
        return Catalogue("small").resolve(value) is not None
    return value.isdecimal() or field == "device"


def describe_problems(error: ValidationError, settings: type[SharedSettings]) -> list[str]:
    """
    A sentence for each setting that is wrong, with the name of its variable.

    Args:
        settings: The class that refused the values. Its secret fields are not shown.
    """
    found = []
    for problem in error.errors():
        if not problem["loc"]:  # about several settings, which the sentence names
            found.append(describe_problem("", problem))
            continue
        field = str(problem["loc"][0])
        name = variable(field)
        is_secret = "Secret" in str(settings.model_fields[field].annotation)
        sentence = describe_problem(name, problem, is_secret=is_secret)
        found.append(sentence if name in sentence else f"{name}: {sentence}")
    return found


def variable(field: str) -> str:
    """
    The environment variable a field is read from.

    >>> variable("redis_url")
    'LONGHAND_REDIS_URL'
    """
    return f"LONGHAND_{field.upper()}"
