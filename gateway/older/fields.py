"""What clients of the older systems send: our options, and fields of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from gateway.reading.fields import Fields, read_model, split_known
from gateway.services import Services
from gateway.submission.engines import check_backend
from gateway.submission.options import OPTION_NAMES, DialectSubmission, read_submission
from shared.wire import LISTS

ASR_FORMATS = {"txt": "text", "vtt": "vtt", "srt": "srt", "tsv": "tsv"}
"""For each `output` of `/asr` except JSON, the name of our format."""


class OlderFields(BaseModel):
    """Fields of every older route, beside our own options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str | None = Field(
        None, max_length=200, description="Engine by name; refused if no worker runs it."
    )


class RecogniseFields(OlderFields):
    """How `/recognise` answers."""

    envelope: bool = Field(
        True, description="Whether the result is under `transcription` too, not only at the top."
    )
    detail: Literal["full", "text"] = Field(
        "full", description="`full` for all fields of Whisper, `text` for only the text."
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


def known_to_older(kind: type[OlderFields]) -> frozenset[str]:
    """Every name that means something in the form of an older route with these fields."""
    return OPTION_NAMES.union(kind.model_fields, (f"{name}[]" for name in LISTS))


def read_older(
    here: Services, sent: Fields, kind: type[Own], *, implied: Mapping[str, str] | None = None
) -> DialectSubmission[Own]:
    """
    Read the fields of an older route.

    Args:
        kind: The route's own fields.
        implied: Options that the route sets, whatever was sent.

    Raises:
        InvalidRequest: The value of a field that is known is not possible.
        EngineNotAvailable: An engine is asked for that no worker here runs.
    """
    options, ignored = split_known(sent, known_to_older(kind))
    # Forms send an empty field if it was not filled in.
    options = {name: value for name, value in options.items() if value != ""}
    own = {name: options.pop(name) for name in kind.model_fields if name in options}
    fields = read_model(kind, own)
    check_backend(fields.backend, here.workers.live())
    if isinstance(fields, AsrFields) and fields.enable_diarization:
        options["diarize"] = "true"
    submission = read_submission(here, options | dict(implied or {}))
    return DialectSubmission(submission, fields, ignored)
