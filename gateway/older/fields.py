"""What clients of the older systems send: our options, their own, and fields for nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from gateway.reading.fields import Fields, read_model, split_known
from gateway.services import Services
from gateway.submission.engines import check_backend
from gateway.submission.options import JobOptions, Submission, read_submission
from shared.request import TranscriptionRequest
from shared.wire import ALIASES, LISTS

ASR_FORMATS = {"txt": "text", "vtt": "vtt", "srt": "srt", "tsv": "tsv"}
"""Our format for each `output` of `/asr` that is not JSON."""


class OlderFields(BaseModel):
    """Fields of every older route, beside our own options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str | None = Field(
        None, max_length=200, description="Engine by name; refused if no worker runs it."
    )


class RecogniseFields(OlderFields):
    """How `/recognise` answers."""

    envelope: bool = Field(
        True, description="Whether the result stands under `transcription` as well as at the top."
    )
    detail: Literal["full", "text"] = Field(
        "full", description="`full` for all that Whisper says, `text` for the text alone."
    )


class DetectFields(OlderFields):
    """How audio comes to `/detect-language`."""

    encode: bool = Field(
        True,
        description="`false`, in the query: the audio is bare samples, 16-bit little-endian, "
        "16 kHz, mono.",
    )


class AsrFields(DetectFields):
    """How audio comes to `/asr`, and how it answers."""

    output: Literal["txt", "json", "vtt", "srt", "tsv"] = Field(
        "txt", description="How the transcript is written."
    )
    enable_diarization: bool = Field(False, description="Say who speaks, as `diarize` does.")


Own = TypeVar("Own", bound=OlderFields)


@dataclass(frozen=True)
class OlderSubmission(Submission):
    """
    What a client of an older system sent.

    Attributes:
        fields: Those of the route.
        ignored: Names of fields that mean nothing here.
    """

    fields: OlderFields = OlderFields()
    ignored: tuple[str, ...] = ()


def known_names(kind: type[OlderFields] = OlderFields) -> frozenset[str]:
    """
    Every field that means anything on an older route.

    Args:
        kind: The route's own fields.
    """
    shared = (*TranscriptionRequest.model_fields, *JobOptions.model_fields, *ALIASES)
    return frozenset((*shared, *kind.model_fields, *(f"{name}[]" for name in LISTS)))


def read_older(
    here: Services,
    sent: Fields,
    filename: str,
    *,
    kind: type[OlderFields] = OlderFields,
    implied: Mapping[str, str] | None = None,
) -> OlderSubmission:
    """
    Read the fields of an older route.

    Args:
        kind: The route's own fields.
        implied: Options that the route sets, whatever was sent.

    Raises:
        InvalidRequest: The value of a known field is not possible.
        EngineNotAvailable: Another engine is asked for than there is.
    """
    own = {*kind.model_fields}
    options, ignored = split_known(sent, known_names(kind))
    # Forms send fields that nobody filled in as empty ones.
    options = {name: value for name, value in options.items() if value != ""}
    fields = read_model(kind, {name: options.pop(name) for name in own if name in options})
    check_backend(fields.backend, here.workers.live())
    if getattr(fields, "enable_diarization", False):
        options["diarize"] = "true"
    read = read_submission(here, options | dict(implied or {}), filename)
    return OlderSubmission(
        read.request, read.filename, job=read.job, fields=fields, ignored=ignored
    )
