"""Errors on the wire: one shape for native and older routes, others for other services' clients."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ErrorAnswer(BaseModel):
    """What native and older routes answer when something is wrong."""

    model_config = ConfigDict(extra="allow")

    success: Literal[False]
    error: str = Field(description="What was wrong and what to do about it.")
    code: str = Field(description="A name for it that does not change.")
    param: str = Field("", description="The field it is about.")
    job_id: str = Field("", description="The job it is about.")


class OpenAIError(BaseModel):
    """What is wrong, in OpenAI's words."""

    model_config = ConfigDict(extra="allow")

    message: str = Field(description="What was wrong and what to do about it.")
    type: str = Field(description="OpenAI's name of its kind.")
    param: str | None = Field(description="The field it is about.")
    code: str | None = Field(description="A name for it that does not change.")


class OpenAIErrorAnswer(BaseModel):
    """What OpenAI's routes answer when something is wrong."""

    model_config = ConfigDict(extra="allow")

    error: OpenAIError


class DeepgramErrorAnswer(BaseModel):
    """What Deepgram's route answers when something is wrong."""

    model_config = ConfigDict(extra="forbid")

    err_code: str = Field(description="Deepgram's name for it.")
    err_msg: str = Field(description="What was wrong and what to do about it.")
    request_id: str = Field(description="What the logs call the request.")
    job_id: str = Field("", description="The job it is about.")


class AssemblyAIErrorAnswer(BaseModel):
    """What AssemblyAI's routes answer when something is wrong."""

    model_config = ConfigDict(extra="forbid")

    error: str = Field(description="What was wrong and what to do about it.")
    job_id: str = Field("", description="The job it is about.")
