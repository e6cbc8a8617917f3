"""Settings of who may do what."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from gateway.access.keys import check_rate
from shared.settings import SharedSettings


class AccessSettings(SharedSettings):
    """What the operator may set for keys, admins and rates."""

    auth: Literal["off", "keys"] = Field(
        "off",
        description="Who may use the gateway. `off`: everybody who reaches it. `keys`: holders "
        "of keys, and users that a trusted proxy names.",
    )
    api_keys_file: Path = Field(
        Path("data/keys.json"), description="File of keys that `./longhand keys` writes."
    )
    admins: str = Field(
        "",
        description="Admins among the users that a trusted proxy names, separated by commas; "
        "keys have roles of their own.",
    )
    rate_limit: str = Field(
        "",
        description="Requests that a caller may make, such as `60/minute` or "
        "`10/second;1000/day`; empty for no limit. A key may have a rate of its own.",
    )

    @field_validator("rate_limit")
    @classmethod
    def _is_rate(cls, value: str) -> str:
        return check_rate(value) if value else value

    @cached_property
    def admin_names(self) -> frozenset[str]:
        """The users who are admins."""
        return frozenset(part.strip() for part in self.admins.split(",") if part.strip())
