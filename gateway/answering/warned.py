"""Warnings of a transcript: in JSON beside the text, and as codes in a header."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from flask import Response

from gateway.answering.shapes.base import WarningShown
from shared.catalogue import Catalogue
from shared.phrase_book import PHRASE_BOOK, WARNING_CODE
from shared.records import JobRecord
from shared.transcript import Transcript, Warned

HEADER = "X-Longhand-Warnings"
DOCUMENTED = {HEADER: "Codes of the transcript's warnings, with commas, such as `demo_model`."}


def warnings_value(warnings: Iterable[Warned]) -> list[WarningShown]:
    """A transcript's warnings, as answers write them."""
    return cast("list[WarningShown]", [warning.model_dump(mode="json") for warning in warnings])


def name_warnings(answer: Response, transcript: Transcript) -> Response:
    """The answer, with each code of its warnings once in a header."""
    codes = dict.fromkeys(warning.code for warning in transcript.warnings)
    if codes:
        answer.headers[HEADER] = ", ".join(codes)
    return answer


def name_warnings_early(answer: Response, catalogue: Catalogue, record: JobRecord) -> Response:
    """The same before there is a transcript: the warning that the model asked for always has."""
    if catalogue.resolve(record.request.model) == PHRASE_BOOK:
        answer.headers[HEADER] = WARNING_CODE
    return answer
