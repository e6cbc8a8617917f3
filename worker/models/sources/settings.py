"""What the environment says about sources: the settings of pip and uv, and where the Hub is."""

from __future__ import annotations

import configparser
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PUBLIC_INDEX = "https://pypi.org/simple"
_PUBLIC_HUB = "https://huggingface.co"
_YES = {"1", "true", "yes", "on"}


@dataclass(frozen=True)
class IndexSettings:
    """
    Which package indexes to ask.

    Attributes:
        urls: In the order in which they are asked; they may contain passwords.
        ca_file: Certificates to trust beside the system's, or "".
    """

    urls: tuple[str, ...]
    ca_file: str = ""


@dataclass(frozen=True)
class HubSettings:
    """Where the Hugging Face Hub is, and whether HF_HUB_OFFLINE forbids to use it."""

    endpoint: str
    is_offline: bool


def read_hub_settings(environment: Mapping[str, str] = os.environ) -> HubSettings:
    """Read the variables of huggingface_hub."""
    is_offline = environment.get("HF_HUB_OFFLINE", "").lower() in _YES
    return HubSettings(environment.get("HF_ENDPOINT") or _PUBLIC_HUB, is_offline)


def read_index_settings(environment: Mapping[str, str] = os.environ) -> IndexSettings:
    """
    Read the variables and files of pip and uv.

    uv's settings go before pip's, and a variable before a file. The extra indexes of both are used
    too: each file must have a known hash, so it does not matter which index it comes from.
    """
    pip, uv = _pip_options(environment), _uv_options(environment)
    variable = environment.get
    if (variable("PIP_NO_INDEX") or pip.get("no-index", "")).lower() in _YES:
        return IndexSettings(())
    first = (
        variable("UV_DEFAULT_INDEX")
        or variable("UV_INDEX_URL")
        or variable("PIP_INDEX_URL")
        or uv.get("index-url", "")
        or pip.get("index-url", "")
        or _PUBLIC_INDEX
    )
    lists = (
        variable("UV_INDEX", ""),
        variable("UV_EXTRA_INDEX_URL", ""),
        variable("PIP_EXTRA_INDEX_URL", ""),
        uv.get("extra-index-url", ""),
        pip.get("extra-index-url", ""),
    )
    urls = [_plain(url).rstrip("/") for text in (first, *lists) for url in text.split()]
    return IndexSettings(tuple(dict.fromkeys(urls)), variable("PIP_CERT") or pip.get("cert", ""))


def _plain(url: str) -> str:
    """
    The address of an index that may be written `name=address`, as uv allows.

    >>> _plain("house=https://packages.example.org/simple")
    'https://packages.example.org/simple'
    """
    name, equals, address = url.partition("=")
    return address if equals and "/" not in name else url


def _pip_options(environment: Mapping[str, str]) -> dict[str, str]:
    """The options of `[global]`, `[install]` and `[download]`; those of later files win."""
    options: dict[str, str] = {}
    for path in _pip_files(environment):
        parser = configparser.RawConfigParser()
        with suppress(configparser.Error, OSError, UnicodeDecodeError):
            parser.read(path, encoding="utf-8")
        for section in ("global", "install", "download"):
            if parser.has_section(section):
                options |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    return options


def _pip_files(environment: Mapping[str, str]) -> Iterator[Path]:
    chosen = environment.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return
    for directory in reversed(environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")):
        yield Path(directory) / "pip" / "pip.conf"
    yield Path("/etc/pip.conf")
    home = environment.get("HOME", "")
    if home:
        yield Path(home) / ".pip" / "pip.conf"
    yield from _user_file(environment, "pip/pip.conf")
    yield Path(sys.prefix) / "pip.conf"
    if chosen:
        yield Path(chosen)


def _user_file(environment: Mapping[str, str], path: str) -> Iterator[Path]:
    home = environment.get("HOME", "")
    folder = environment.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    if folder:
        yield Path(folder) / path


def _uv_options(environment: Mapping[str, str]) -> dict[str, str]:
    """`index-url` and `extra-index-url`, in whichever form uv.toml has them."""
    options: dict[str, str] = {}
    for path in _uv_files(environment):
        try:
            value = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        options |= _uv_indexes(value)
    return options


def _uv_files(environment: Mapping[str, str]) -> Iterator[Path]:
    if environment.get("UV_NO_CONFIG", "").lower() in _YES:
        return
    if chosen := environment.get("UV_CONFIG_FILE", ""):
        yield Path(chosen)
        return
    yield Path("/etc/uv/uv.toml")
    yield from _user_file(environment, "uv/uv.toml")


def _uv_indexes(value: Mapping[str, Any]) -> dict[str, str]:
    pip = value.get("pip", {})
    found = {}
    indexes = [index for index in value.get("index", []) if "url" in index]
    first = [str(index["url"]) for index in indexes if index.get("default")]
    extra = [str(index["url"]) for index in indexes if not index.get("default")]
    first += [str(place["index-url"]) for place in (value, pip) if "index-url" in place]
    extra += [str(url) for place in (value, pip) for url in place.get("extra-index-url", [])]
    if first:
        found["index-url"] = first[0]
    if extra:
        found["extra-index-url"] = " ".join(extra)
    return found
