"""What `/models` and `/reload` answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.answering.shapes.jobs import WarningShown


class UsableModel(BaseModel):
    """A model that a request may name now."""

    model_config = ConfigDict(extra="allow")

    name: str
    aliases: list[str]
    is_multilingual: bool
    translates: bool
    present: int = Field(description="Workers that have its files.")
    loaded: int = Field(description="Workers that have it in memory.")
    warnings: list[WarningShown] = Field(description="Of every text by it.")


class UsableModels(BaseModel):
    """The models that a request may name now."""

    model_config = ConfigDict(extra="allow")

    success: Literal[True]
    models: list[str]
    default: str | None
    data: list[UsableModel]


class Reloaded(BaseModel):
    """Another model was chosen, or workers will read their models' files anew."""

    model_config = ConfigDict(extra="allow")

    success: Literal[True]
    generation: int | None = Field(None, description="Of the files that are read anew.")
    message: str | None = Field(None, description="That the model was chosen.")
    model: str | None = Field(None, description="The model of requests that name none.")
