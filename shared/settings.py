"""Settings both services share. A setting is what an operator changes; a caller's choice is not."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.catalogue import Catalogue
from shared.problems import describe_problem

CHECKOUT = Path(__file__).resolve().parents[1]


class SharedSettings(BaseSettings):
    """Read from `LONGHAND_…` variables; built once in `__main__` and handed on."""

    model_config = SettingsConfigDict(env_prefix="LONGHAND_", frozen=True, extra="ignore")

    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="Redis, password included: `redis://:password@host:6379/0`.",
    )
    storage_dir: Path = Field(
        Path("data/storage"),
        description="Directory of uploads and results; gateway and workers see the same one.",
    )
    default_model: str = Field(
        "small", description="Model of a request that names none; workers load it at start."
    )
    model_aliases: str = Field(
        "",
        description="Own names for models, laid over the catalogue: `base=demo,house=large-v3`.",
    )
    lease_s: int = Field(
        30, ge=5, description="Seconds without a sign of life until a worker's jobs go to another."
    )
    max_attempts: int = Field(
        3, ge=1, description="Workers that may die over one job before it fails `worker_lost`."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line written."
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="Log lines as `text`, or `json` objects."
    )

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


def describe_problems(error: ValidationError, settings: type[SharedSettings]) -> list[str]:
    """
    A sentence for each setting that is wrong, naming the variable the operator wrote.

    Args:
        settings: The class that refused; what it keeps secret is not shown.
    """
    found = []
    for problem in error.errors():
        if not problem["loc"]:  # of several settings together: the sentence names them
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
