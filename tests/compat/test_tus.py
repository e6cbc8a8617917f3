"""tuspy, a client of tus: an upload that broke off is resumed, and its words are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from environments import run_script
from sites import Site
from spoken import Clip

PROGRAM = """
import json, sys
from tusclient import client
from tusclient.storage import filestorage

url, path, kept = sys.argv[1:]
tus = client.TusClient(url + "/uploads")


def uploader():
    storage = filestorage.FileStorage(kept)
    return tus.uploader(
        path, chunk_size=100_000, metadata={"filename": "talk.wav"}, store_url=True,
        url_storage=storage, upload_checksum=True,
    )


first = uploader()
first.upload_chunk()
stopped_at = first.offset
second = uploader()  # as after a lost connection: it knows the file and nothing else
resumed_at = second.offset
second.upload()
print(json.dumps({"stopped_at": stopped_at, "resumed_at": resumed_at, "url": second.url,
                  "same": first.url == second.url, "end": second.offset}))
"""


def test_an_upload_is_resumed_where_it_broke_off(
    compat_site: Site, environment: Callable[[str], Path], clip: Clip, words: str, tmp_path: Path
) -> None:
    python = environment("tus")

    told = json.loads(
        run_script(
            python, PROGRAM, compat_site.stack.url, clip.path, tmp_path / "urls", cwd=tmp_path
        )
    )
    upload = told["url"].rpartition("/")[2]
    answer = compat_site.http.post(
        "/transcribe/upload", data={"upload": upload, "wait": "true"}, timeout=300
    )

    size = clip.path.stat().st_size
    assert (told["stopped_at"], told["resumed_at"], told["same"]) == (100_000, 100_000, True)
    assert told["end"] == size > 200_000
    assert (answer.json()["text"], answer.json()["filename"]) == (words, "talk.wav")
