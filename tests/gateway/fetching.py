"""How tests download what a caller's URL leads to."""

from __future__ import annotations

import io

from web_hosts import Names

from gateway.outward.downloads import Downloader
from gateway.reading.audio import AudioWriter
from gateway.settings import GatewaySettings


def fetch(url, *, names=None, **settings):
    """Download; what it is called, and the bytes."""
    out = io.BytesIO()
    chosen = GatewaySettings(**settings)
    if not isinstance(names, Names):
        names = Names({name: [addresses] for name, addresses in (names or {}).items()})
    downloader = Downloader(chosen, resolve=names)
    name = downloader.fetch(url, AudioWriter(out, chosen.max_audio_bytes))
    return name, out.getvalue()
