"""What `/models` and `/reload` answer."""

from __future__ import annotations

from pydantic import ConfigDict, Field, SkipValidation

from gateway.answering.shapes.base import Shape, Succeeded, WarningShown


class UsableModel(Shape):
    """A model that a request may name now."""

    model_config = ConfigDict(extra="allow")

    name: str
    aliases: list[str]
    is_multilingual: bool
    translates: bool
    present: int = Field(description="Workers that have its files.")
    loaded: int = Field(description="Workers that have it in memory.")
    warnings: SkipValidation[list[WarningShown]] = Field(
        description="Warnings of every text by it."
    )


class UsableModels(Succeeded):
    """The models that a request may name now."""

    model_config = ConfigDict(extra="allow")

    models: list[str]
    default: str | None
    data: list[UsableModel]


class Reloaded(Succeeded):
    """The default model was changed, or workers will read their models' files again."""

    model_config = ConfigDict(extra="allow")

    generation: int | None = Field(None, description="A number that rises with every reload.")
    message: str | None = Field(None, description="Says that the model is the default now.")
    model: str | None = Field(None, description="The model of requests that name none.")
