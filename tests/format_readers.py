"""What somebody else's parser reads in each format."""

from __future__ import annotations

import csv
import html
import io
import json
import re

import docx
import srt
import webvtt


def read_whole_text(text):
    return [text.removesuffix("\n")] if text else []


def read_json(text):
    return read_whole_text(json.loads(text)["text"])


def read_verbose_json(text):
    return [
        (segment["start"], segment["end"], segment["text"].strip())
        for segment in json.loads(text)["segments"]
    ]


def read_whisper(text):
    value = json.loads(text)
    assert list(value) == ["text", "segments", "language"]
    return read_verbose_json(text)


def read_srt(text):
    cues = list(srt.parse(text, ignore_errors=False))
    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1))
    return [(cue.start.total_seconds(), cue.end.total_seconds(), cue.content) for cue in cues]


def read_vtt(text):
    assert text.startswith("WEBVTT\n\n")
    cues = webvtt.from_string(text)
    return [
        (
            cue.start_time.in_milliseconds() / 1000,
            cue.end_time.in_milliseconds() / 1000,
            html.unescape(cue.text),
        )
        for cue in cues
    ]


def read_tsv(text):
    header, *rows = csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    assert header == ["start", "end", "text"]
    return [(int(start) / 1000, int(end) / 1000, said) for start, end, said in rows]


def read_docx(document):
    """Start in whole seconds and text; the title and the line about the audio are left out."""
    _, _, *paragraphs = docx.Document(io.BytesIO(document)).paragraphs
    told = []
    for paragraph in paragraphs:
        hours, minutes, seconds, text = re.fullmatch(
            r"\[(\d\d+):(\d\d):(\d\d)\] (.+)", paragraph.text
        ).groups()
        told.append((int(hours) * 3600 + int(minutes) * 60 + int(seconds), text))
    return told


def read_rttm(text):
    """Start, end and speaker."""
    told = []
    for line in text.splitlines():
        kind, _, channel, start, length, *none, name, _, _ = line.split(" ")
        assert (kind, channel, none) == ("SPEAKER", "1", ["<NA>", "<NA>"])
        told.append((float(start), round(float(start) + float(length), 3), name))
    return told


READERS = {
    "json": read_json,
    "verbose_json": read_verbose_json,
    "whisper": read_whisper,
    "text": read_whole_text,
    "srt": read_srt,
    "vtt": read_vtt,
    "tsv": read_tsv,
    "rttm": read_rttm,
    "docx": read_docx,
}
