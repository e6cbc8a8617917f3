"""What `/` answers to programs."""

from __future__ import annotations

from pydantic import ConfigDict

from gateway.answering.shapes.base import Succeeded


class ServiceInfo(Succeeded):
    """The name of the service and its routes, for programs."""

    model_config = ConfigDict(extra="allow")

    service: str
    routes: list[str]
