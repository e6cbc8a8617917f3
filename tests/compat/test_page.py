"""The page in a real Chromium, on a site with real weights."""

from __future__ import annotations

import re
from pathlib import Path

from browser import open_browser
from conftest import running_site
from real_speech import CONVERSATION, turns_of


def test_the_page_says_who_speaks(real_models: Path, real_diarizer: Path) -> None:
    assert real_diarizer.parent == real_models
    settings = {
        "LONGHAND_DEFAULT_MODEL": "tiny.en",
        "LONGHAND_MODEL_ALIASES": "",
        "LONGHAND_HF_TOKEN": "",
        "HF_TOKEN": "",
    }

    with running_site(real_models, **settings) as site, open_browser() as page:
        page.open(f"{site.stack.url}/")
        page.choose_file("#file", CONVERSATION)
        page.run("document.querySelector('[name=diarize]').click()")
        page.run("document.getElementById('send').click()")
        page.wait_until("!document.getElementById('result').hidden")
        text = page.run("document.getElementById('text').textContent")
        saved = page.run("[...document.querySelectorAll('#formats a')].map(a => a.textContent)")

    names = {"Ann": "SPEAKER_00", "Ben": "SPEAKER_01"}
    said_by = re.findall(r"^\[?(SPEAKER_\d\d)", text, re.MULTILINE)
    assert said_by == [names[turn.speaker] for turn in turns_of("conversation")]
    assert "rttm" in saved
