"""Chinese through a whole stack, in every script and format."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import chain, product
from pathlib import Path
from typing import Any

import pytest
from chinese_phrases import IN_CONTEXT, KEPT, TAIWANS_WORDS
from opencc import OpenCC
from scripted import write_scripted
from spoken import draw_long_clip, transcribe_here

from shared.chinese import VARIANTS, convert
from shared.formats import FORMATS, render
from shared.request import TranscriptionRequest
from shared.transcript import Transcript
from worker.processes.local import LocalModels

pytestmark = pytest.mark.main_job

OF_TEXT = [name for name in FORMATS if name != "rttm"]


def rendered(transcript: Transcript, name: str) -> bytes:
    """A transcript in a format, as an answer holds it."""
    written = render(transcript, name)
    return written if isinstance(written, bytes) else written.encode()


def words_of(transcript: Transcript) -> list[tuple[str, float, float]]:
    """Every word and its times."""
    words = (word for segment in transcript.segments for word in segment.words or ())
    return [(word.word, word.start, word.end) for word in words]


@pytest.mark.promise("S4-16", "S4-17")
def test_mandarin_is_stored_as_recognised_and_read_in_taiwans_words(
    open_site: Callable[..., Any], models: LocalModels, tmp_path: Path
) -> None:
    clip = draw_long_clip(tmp_path, seed=71, length_s=40, language="zh")
    site = open_site()

    job_id = site.upload(clip.path, chinese="s2twp", word_timestamps="true")
    stored = site.transcript(job_id)

    request = TranscriptionRequest(word_timestamps=True)
    recognised = transcribe_here(models, clip.path, request)
    converted = convert(recognised, "s2twp")
    assert recognised.language == "zh"
    assert len(recognised.segments) > 2
    assert converted.text != recognised.text
    assert (stored.text, stored.segments) == (recognised.text, recognised.segments)
    assert stored.options["chinese"] == "s2twp"
    assert site.jobs.read_converted(site.job(job_id), "s2twp") == convert(stored, "s2twp")
    assert site.jobs.read_converted(site.job(job_id), "s2hk") is None

    value = site.http.get(f"/jobs/{job_id}/result").json()
    assert value["text"] == converted.text
    told = [(w["word"], w["start"], w["end"]) for s in value["segments"] for w in s["words"]]
    assert told == words_of(converted)
    assert [times for _, *times in told] == [times for _, *times in words_of(recognised)]
    for name in OF_TEXT:
        read = site.http.get(f"/jobs/{job_id}/result", params={"format": name})
        assert read.content == rendered(converted, name), name
        read = site.http.get(f"/jobs/{job_id}/result", params={"format": name, "chinese": "none"})
        assert read.content == rendered(recognised, name), name


SEGMENT_S = 1.4
SCRIPTED = ("tiny", "base", "small")


def cut(text: str, draw: random.Random) -> list[str]:
    """Segments that end anywhere, within phrases too; marks stay with what is before them."""
    pieces, start = [], 0
    while start < len(text):
        end = start + draw.randint(8, 14)
        end += text[end : end + 1] in ("，", "。")
        pieces.append(text[start:end])
        start = end
    return pieces


@pytest.fixture
def scripted_site(open_site: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """A function that starts a stack whose models write the texts they are given."""

    def start(language: str, **texts: Sequence[str]) -> Any:
        for name, segments in texts.items():
            path = tmp_path / "models" / name / f"{name}.pt"
            write_scripted(path, segments, language, segment_s=SEGMENT_S)
        return open_site(
            env={
                "LONGHAND_ENGINE": "openai_whisper",
                "LONGHAND_DEVICE": "cpu",
                "LONGHAND_MODELS_DIR": str(tmp_path / "models"),
                "LONGHAND_DEFAULT_MODEL": next(iter(texts)),
                "LONGHAND_RESIDENT_MODELS": str(len(texts)),
            }
        )

    return start


@pytest.fixture(scope="module")
def opencc() -> dict[str, Callable[[str], str]]:
    """The library itself, for each variant."""
    converting = {name: OpenCC(name).convert for name in VARIANTS if name != "none"}
    return {"none": str, **converting}


def test_phrases_are_converted_by_what_stands_around_them_in_every_variant_and_format(
    scripted_site: Callable[..., Any], opencc: dict[str, Callable[[str], str]], tmp_path: Path
) -> None:
    phrases, draw = [*IN_CONTEXT, *TAIWANS_WORDS], random.Random(72)
    scripts = {name: cut("".join(phrases[n::3]), draw) for n, name in enumerate(SCRIPTED)}
    clip = draw_long_clip(tmp_path, seed=73, length_s=26, language="zh")
    site = scripted_site("zh", **scripts)

    jobs = {name: site.upload(clip.path, model=name, word_timestamps="true") for name in scripts}
    stored = {name: site.transcript(job_id) for name, job_id in jobs.items()}

    assert len(phrases) >= 40
    for name, variant in product(scripts, VARIANTS):
        route, recognised = f"/jobs/{jobs[name]}/result", stored[name]
        converted = convert(recognised, variant)
        value = site.http.get(route, params={"chinese": variant, "timestamps": "true"}).json()
        words = [
            [(w["word"], w["start"], w["end"]) for w in segment["words"]]
            for segment in value["segments"]
        ]
        assert [segment.text for segment in recognised.segments] == scripts[name]
        assert value["text"] == opencc[variant]("".join(scripts[name]))
        assert list(chain.from_iterable(words)) == words_of(converted)
        assert [s["text"] for s in value["segments"]] == [
            "".join(text for text, *_ in own) for own in words
        ]
        # Each format once for every variant; what is written is converted alike for all of them.
        for form in OF_TEXT if name == SCRIPTED[0] else ("srt",):
            read = site.http.get(route, params={"format": form, "chinese": variant})
            assert read.content == rendered(converted, form), (variant, form)


def test_japanese_is_read_as_recognised(scripted_site: Callable[..., Any], tmp_path: Path) -> None:
    clip = draw_long_clip(tmp_path, seed=74, length_s=5, language="zh")
    site = scripted_site("ja", tiny=[KEPT["ja"]])

    job_id = site.upload(clip.path, chinese="s2twp")
    stored = site.transcript(job_id)

    text = KEPT["ja"] * len(stored.segments)  # the model says so of whatever is left to hear
    assert (stored.language, stored.text) == ("ja", text)
    assert site.http.get(f"/jobs/{job_id}/result").json()["text"] == text
