"""API keys: who holds one and what he may, in one file that is read anew when it changes."""

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
"""That of nginx's users too: a key and a user of one name are one owner."""

KEY_PREFIX = "lh_"
_RANDOM_BYTES = 32
_LOOK_EVERY_S = 1.0

_log = logging.getLogger(__name__)
_Signature = tuple[int, int, int, int]


class KeyFileError(Exception):
    """The file cannot be changed as wanted; the sentence says why."""


class ApiKey(BaseModel):
    """
    What is kept of a key, which is not the key; what else a file says of it stays there.

    Attributes:
        name: Who holds it: the owner of what is made with it.
        rate: How many requests it is good for, as `60/minute`; None for the site's own rate.
        sha256: Of the key, in hexadecimal. A key is 32 random bytes, so that nobody finds it by
            trying, and a slow hash would only slow down every request.
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
    The same rate, if it is one.

    Raises:
        ValueError: It is none.

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
    What a key is known by.

    >>> hash_key("lh_x") == hash_key("lh_x"), len(hash_key(""))
    (True, 64)
    """
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


class ApiKeys:
    """
    The keys of a file, as it is now: a key that is revoked counts no longer within a second or two.

    A file that is not there holds no keys. One that cannot be read leaves those that
    were last read in force, and the log says so.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._look_at = 0.0
        self._signature: _Signature | None = None
        self._has_looked = False
        self._by_hash: dict[str, ApiKey] = {}

    def find(self, key: str) -> ApiKey | None:
        """Whose key it is; None if it is nobody's."""
        self._look()
        digest = hash_key(key)
        # Where a hash is looked for tells nothing of the key that it is of.
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
            if isinstance(error, KeyFileError):  # until it changes; what was in the way may go
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
    """Equal for as long as a file is what it was; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    # The time of the last change of owner or mode too: what was not readable may be now.
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def read_keys(path: Path) -> Sequence[ApiKey]:
    """
    Read a file of keys; one that is not there holds none.

    Raises:
        OSError: It cannot be read.
        KeyFileError: It is no file of keys.
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
        The key, which is kept nowhere.

    Raises:
        KeyFileError: The name is no name or has a key, or the file is none of keys.
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
    Make a key worth nothing.

    Raises:
        KeyFileError: Nobody of that name has one, or the file is none of keys.
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
    """Read, change and write a file of keys, while nobody else does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        file = _read_file(path)
        changed = file.model_copy(update={"keys": tuple(change(file.keys))})
        value = changed.model_dump(mode="json")
        _write(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file of keys, which is not the file: that one is replaced."""
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, text: str) -> None:
    """Replace a file at once, by one that its owner alone reads, or who could read the old one."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
            with suppress(FileNotFoundError):
                before = path.stat()
                os.fchmod(out.fileno(), before.st_mode & 0o777)
                with suppress(PermissionError):  # root alone may give it back to whose it was
                    os.fchown(out.fileno(), before.st_uid, before.st_gid)
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
