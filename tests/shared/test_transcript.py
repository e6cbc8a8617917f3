"""Transcripts as they are stored."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from shared.transcript import SCHEMA_VERSION, Transcript


def test_a_stored_transcript_is_read_back_equal(make_transcript):
    transcript = make_transcript((0.0, 1.5, " 你好"), options={"language": "zh"})

    assert Transcript.model_validate_json(transcript.model_dump_json()) == transcript


def test_fields_of_a_newer_version_survive_being_read_and_written(make_transcript):
    stored = json.loads(make_transcript((0.0, 1.0, " hi")).model_dump_json())
    stored |= {"schema_version": SCHEMA_VERSION + 1, "chinese": {"variant": "s2tw"}}
    stored["segments"][0]["emotion"] = "calm"
    transcript = Transcript.model_validate(stored)

    assert json.loads(transcript.model_dump_json()) == stored


def test_a_transcript_cannot_be_changed(make_transcript):
    transcript = make_transcript()

    with pytest.raises(ValidationError, match="frozen"):
        transcript.text = "other"
