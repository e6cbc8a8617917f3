"""A file at the download address of those who made the model."""

from __future__ import annotations

from urllib.parse import urlsplit

from worker.models.file_set import FileSet
from worker.models.sources.arrivals import Arrivals
from worker.models.sources.source import Fetched, Offer, Place, take
from worker.models.sources.web import Web


class Makers:
    """The files that openai-whisper and torchaudio download, from the same addresses."""

    name = "its makers"

    def __init__(self, web: Web) -> None:
        self._web = web

    def has(self, files: FileSet) -> bool:
        """Whether the model has such an address."""
        return files.origin is not None and bool(files.origin.address)

    def fetch(self, files: FileSet, place: Place, arrivals: Arrivals) -> Fetched:
        """See `Source.fetch`; the file must have the hash in the address, if there is one."""
        assert files.origin is not None
        address, hashes = files.origin.address, files.origin.hashes
        file = next(iter(hashes), urlsplit(address).path.rpartition("/")[2])
        offers = [Offer(file, address, sha256=hashes.get(file, ""))]
        checked = "the hash in its address" if hashes else "its size"
        return Fetched("", take(offers, place, self._web, arrivals), checked)
