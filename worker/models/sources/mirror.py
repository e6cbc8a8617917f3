"""The operator's own copies of models: in a directory, or on a web server."""

from __future__ import annotations

import re

from worker.models.file_set import FileSet
from worker.models.sources.addresses import as_url, below
from worker.models.sources.arrivals import Arrivals
from worker.models.sources.source import Fetched, Offer, Place, safe, take
from worker.models.sources.web import SourceFailed, Web

SUMS_FILE = "SHA256SUMS"
_SUM = re.compile(r"([0-9a-f]{64}) [ *](.+)")


class Mirror:
    """
    Files at `<mirror>/<name of the model's folder>/<file>`.

    Args:
        place: A directory, or an address.
    """

    name = "the mirror"

    def __init__(self, place: str, web: Web) -> None:
        self._url = as_url(place)
        self._web = web

    def has(self, files: FileSet) -> bool:
        """Always true: it may have any model."""
        return True

    def fetch(self, files: FileSet, place: Place, arrivals: Arrivals) -> Fetched:
        """See `Source.fetch`; each file must have the catalogue's hash, or that in SHA256SUMS."""
        folder = below(self._url, files.folder_name)
        hashes = files.origin.hashes if files.origin else {}
        checked = "the catalogue" if hashes else SUMS_FILE
        hashes = hashes or self._sums(folder)
        offers = [Offer(file, below(folder, file), sha256=hashes[file]) for file in hashes]
        return Fetched("", take(offers, place, self._web, arrivals), checked)

    def _sums(self, folder: str) -> dict[str, str]:
        """The hashes in the operator's SHA256SUMS, by file."""
        try:
            text = self._web.read(below(folder, SUMS_FILE)).content.decode()
        except UnicodeDecodeError as error:
            raise SourceFailed(f"{SUMS_FILE} is no text") from error
        found = [_SUM.fullmatch(line.strip()) for line in text.splitlines() if line.strip()]
        sums = {str(safe(line[2])): line[1] for line in found if line}
        if not sums or None in found:
            raise SourceFailed(f"{SUMS_FILE} has lines that sha256sum does not write")
        return sums
