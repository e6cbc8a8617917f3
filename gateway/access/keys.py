"""API keys: who holds one and with what rights, in one file that is read again when it changes."""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import logging
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import limits
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

Role = Literal["user", "admin"]
NAME_PATTERN = r"[A-Za-z0-9._@-]{1,64}"
"""The same as for nginx's users: a key and a user with the same name are one owner."""

KEY_PREFIX = "lh_"
_RANDOM_BYTES = 32
_LOOK_EVERY_S = 1.0

_log = logging.getLogger(__name__)
_Signature = tuple[int, int, int, int]


class KeyFileError(Exception):
    """The file of keys cannot be read or changed; the message says why."""


class ApiKey(BaseModel):
    """
    What the file keeps of a key: its hash, never the key. Unknown fields of the file are kept.

    Attributes:
        name: Who holds the key: the owner of the jobs that are made with it.
        rate: How many requests it allows, as `60/minute`; None for the site's own rate.
        sha256: The key's hash, in hexadecimal. A key is 32 random bytes, which nobody finds by
            trying; a slow hash would only slow down every request.
        created_at: RFC 3339.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(pattern=f"^{NAME_PATTERN}$")
    role: Role = "user"
    rate: str | None = None
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    created_at: str = ""

    @field_validator("rate")
    @classmethod
    def _is_rate(cls, value: str | None) -> str | None:
        return None if value is None else check_rate(value)


class _KeyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    keys: tuple[ApiKey, ...] = ()


def check_rate(text: str) -> str:
    """
    Check that a text is a rate, and return it.

    Raises:
        ValueError: It is not a rate.

    >>> check_rate("60/minute;1000/day")
    '60/minute;1000/day'
    """
    try:
        parsed = limits.parse_many(text)
    except ValueError:
        parsed = []
    if not parsed or any(item.amount < 1 for item in parsed):
        raise ValueError(f"{text!r} is no rate; write one as 60/minute or 10/second;1000/day")
    return text


def hash_key(key: str) -> str:
    """
    The hash by which the file names a key: SHA-256, in hexadecimal.

    >>> hash_key("lh_x") == hash_key("lh_x"), len(hash_key(""))
    (True, 64)
    """
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


class ApiKeys:
    """
    The keys of a file. It is read again when it changes: a revoked key is refused a second later.

    A missing file holds no keys. If a file cannot be read, the keys that were last read stay valid,
    and the log says so.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._look_at = 0.0
        self._signature: _Signature | None = None
        self._has_looked = False
        self._by_hash: dict[str, ApiKey] = {}

    def find(self, key: str) -> ApiKey | None:
        """The entry of a key; None if the key is not valid."""
        self._look()
        digest = hash_key(key)
        # The time of a look-up by hash tells nothing about the key.
        found = self._by_hash.get(digest)
        return found if found and hmac.compare_digest(found.sha256, digest) else None

    def _look(self) -> None:
        if time.monotonic() < self._look_at:
            return
        with self._lock:
            if time.monotonic() < self._look_at:
                return
            self._read_if_changed()
            self._look_at = time.monotonic() + _LOOK_EVERY_S

    def _read_if_changed(self) -> None:
        try:
            signature = _signature_of(self._path)
            if self._has_looked and signature == self._signature:
                return
            keys = read_keys(self._path)
        except (OSError, KeyFileError) as error:
            if isinstance(error, KeyFileError):  # read again once it changes; an OSError may pass
                self._has_looked, self._signature = True, signature
            _log.error(
                "LONGHAND_API_KEYS_FILE cannot be read, so the %d keys last read stay in force: %s",
                len(self._by_hash),
                error,
            )
            return
        self._has_looked, self._signature = True, signature
        self._by_hash = {key.sha256: key for key in keys}
        if signature is None:
            _log.warning("there is no file of keys at %s: no key is valid", self._path)
        else:
            _log.info("%d keys are valid", len(keys))


def _signature_of(path: Path) -> _Signature | None:
    """A value that changes with the file; None if there is no file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    # ctime too: a change of owner or mode may make the file readable.
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def read_keys(path: Path) -> Sequence[ApiKey]:
    """
    Read a file of keys; a missing file holds none.

    Raises:
        OSError: It cannot be read.
        KeyFileError: It is not a file of keys.
    """
    return _read_file(path).keys


def _read_file(path: Path) -> _KeyFile:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return _KeyFile()
    except UnicodeDecodeError as error:
        raise KeyFileError(f"{path} is not UTF-8") from error
    try:
        return _KeyFile.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise KeyFileError(f"{path} is no file of keys: {place}: {first['msg']}") from error


def add_key(path: Path, name: str, *, role: Role = "user", rate: str | None = None) -> str:
    """
    Make a key.

    Returns:
        The key itself, which is stored nowhere.

    Raises:
        KeyFileError: The name is not possible or has a key, or the file is not one of keys.
        OSError: The file cannot be written.
    """
    key = KEY_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        entry = ApiKey(name=name, role=role, rate=rate, sha256=hash_key(key), created_at=now)
    except ValidationError as error:
        raise KeyFileError(_what_is_wrong(error, name)) from error

    def add(keys: Sequence[ApiKey]) -> Sequence[ApiKey]:
        if any(known.name == name for known in keys):
            raise KeyFileError(f"{name} has a key; revoke it first, or choose another name")
        return [*keys, entry]

    _change(path, add)
    return key


def revoke_key(path: Path, name: str) -> None:
    """
    Revoke the key of a name.

    Raises:
        KeyFileError: Nobody of that name has a key, or the file is not one of keys.
        OSError: The file cannot be written.
    """

    def remove(keys: Sequence[ApiKey]) -> Sequence[ApiKey]:
        left = [key for key in keys if key.name != name]
        if len(left) == len(keys):
            raise KeyFileError(f"nobody named {name!r} has a key")
        return left

    _change(path, remove)


def _what_is_wrong(error: ValidationError, name: str) -> str:
    problem = error.errors()[0]
    if problem["loc"] == ("name",):
        return f"the name is {name!r}; use 1 to 64 of A-Z a-z 0-9 . _ @ -"
    return str(problem["msg"]).removeprefix("Value error, ")


def _change(path: Path, change: Callable[[Sequence[ApiKey]], Sequence[ApiKey]]) -> None:
    """Read, change and write a file of keys under its lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        file = _read_file(path)
        changed = file.model_copy(update={"keys": tuple(change(file.keys))})
        value = changed.model_dump(mode="json")
        _write(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file of keys. It is another file, since the file of keys is replaced."""
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, text: str) -> None:
    """Replace a file in one step. Owner and mode stay; a new file is for its owner alone."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
            with suppress(FileNotFoundError):
                before = path.stat()
                os.fchmod(out.fileno(), before.st_mode & 0o777)
                with suppress(PermissionError):  # only root may change the owner
                    os.fchown(out.fileno(), before.st_uid, before.st_gid)
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
