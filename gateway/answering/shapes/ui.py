"""What `/` answers to programs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class ServiceInfo(BaseModel):
    """What this is, for programs."""

    model_config = ConfigDict(extra="allow")

    success: Literal[True]
    service: str
    routes: list[str]
