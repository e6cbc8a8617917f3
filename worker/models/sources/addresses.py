"""Addresses of pages and files: `http:`, `https:` or `file:`."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import url2pathname


def shown(url: str) -> str:
    """
    An address without its passwords and parameters, which may be secret.

    >>> shown("https://ann:secret@packages.example.org/simple/?token=secret")
    'https://packages.example.org/simple/'
    """
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))


def as_url(place: str) -> str:
    """
    The address of a directory or page, without a slash at its end.

    >>> as_url("/srv/models/"), as_url("https://mirror.example.org/models")
    ('file:///srv/models', 'https://mirror.example.org/models')
    """
    is_address = place.startswith(("http://", "https://", "file:"))
    return (place if is_address else Path(place).absolute().as_uri()).rstrip("/")


def below(url: str, path: str) -> str:
    """The address of a file below another address."""
    return f"{url}/{quote(path)}"


def path_of(url: str) -> Path:
    """The path of a `file:` address."""
    return Path(url2pathname(urlsplit(url).path))
