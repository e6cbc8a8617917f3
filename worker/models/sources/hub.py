"""
The Hugging Face Hub, by the two routes that a download needs.

We do not use huggingface_hub. It has one timeout for all waits, tries a dead host again and again
(23 s for each missing file), and downloads in threads that Ctrl-C does not end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from worker.models.file_set import FileSet, Repository, how_to_get_access
from worker.models.sources.addresses import below
from worker.models.sources.arrivals import Arrivals
from worker.models.sources.settings import HubSettings
from worker.models.sources.source import Fetched, Offer, Place, take
from worker.models.sources.web import SourceFailed, Web

_REFUSED = (401, 403)


class Hub:
    """
    Repositories at one endpoint.

    Args:
        token: Sent with every request, or "".
    """

    name = "the Hub"

    def __init__(self, settings: HubSettings, token: str, web: Web) -> None:
        self._endpoint = settings.endpoint.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._web = web
        self._is_offline = settings.is_offline

    def has(self, files: FileSet) -> bool:
        """Whether the model has a repository."""
        return files.origin is not None and bool(files.origin.repositories)

    def fetch(self, files: FileSet, place: Place, arrivals: Arrivals) -> Fetched:
        """See `Source.fetch`; each file must have the catalogue's hash, or the Hub's."""
        assert files.origin is not None
        if self._is_offline:
            raise SourceFailed("HF_HUB_OFFLINE is set")
        repositories, hashes = files.origin.repositories, files.origin.hashes
        # Each is asked for before anything is fetched, which shows whether the token is accepted.
        found = [
            (repository, self._describe(repository, repositories)) for repository in repositories
        ]
        offers = [
            offer
            for repository, details in found
            for offer in self._offers(repository, details, hashes)
        ]
        marks = take(offers, place, self._web, arrivals)
        return Fetched(found[0][1]["sha"], marks, "the catalogue" if hashes else "the Hub")

    def _describe(self, repository: Repository, together: tuple[Repository, ...]) -> dict[str, Any]:
        if repository.is_gated and not self._headers:
            raise SourceFailed(how_to_get_access(together))
        url = below(self._endpoint, f"api/models/{repository.name}/revision/{repository.revision}")
        try:
            details = json.loads(self._web.read(f"{url}?blobs=true", self._headers).content)
            return {"sha": str(details["sha"]), "files": list(details["siblings"])}
        except SourceFailed as error:
            if error.status in _REFUSED:
                raise SourceFailed(
                    f"{repository.name} is refused ({error.status}); {how_to_get_access(together)}"
                ) from error
            if error.status is not None:
                raise SourceFailed(f"{repository.name}: answer {error.status}") from error
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise SourceFailed(f"what it says of {repository.name} cannot be read") from error

    def _offers(
        self, repository: Repository, details: Mapping[str, Any], hashes: Mapping[str, str]
    ) -> list[Offer]:
        named = {str(file["rfilename"]): file for file in details["files"]}
        wanted = [*repository.wanted, *_first_matched(repository.either, named)]
        base = below(self._endpoint, f"{repository.name}/resolve/{details['sha']}")
        return [
            _offer(name, file, repository.into, below(base, name), hashes, self._headers)
            for name, file in named.items()
            if any(fnmatchcase(name, pattern) for pattern in wanted)
        ]


def _offer(
    name: str,
    file: Mapping[str, Any],
    into: str,
    url: str,
    hashes: Mapping[str, str],
    headers: Mapping[str, str],
) -> Offer:
    """The Hub has a SHA-256 for large files, and git's hash for others."""
    target = str(PurePosixPath(into) / name)
    stated = (file.get("lfs") or {}).get("sha256") or ""
    return Offer(
        target,
        url,
        n_bytes=file.get("size"),
        sha256=hashes.get(target, stated),
        git_hash=file.get("blobId") or "",
        headers=headers,
    )


def _first_matched(patterns: tuple[str, ...], names: Mapping[str, object]) -> tuple[str, ...]:
    for pattern in patterns:
        if any(fnmatchcase(name, pattern) for name in names):
            return (pattern,)
    return ()
