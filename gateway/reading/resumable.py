"""
Uploads in parts, which survive a lost connection (the protocol tus 1.0.0).

What is known of an upload stands in the hash `UPLOAD` of Redis, which expires. Its parts are
objects `uploads/{id}/{offset}-{random}/part` in storage. A part counts once its name is in the list
`UPLOAD_PARTS`. One script adds the name if the part continues the upload, so that of two parts sent
at the same time one is refused.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from shutil import copyfileobj
from typing import IO, Any

from redis import Redis

from gateway.reading.audio import AudioWriter
from shared.connections import as_texts
from shared.errors import (
    AudioTooLarge,
    AudioUnreadable,
    ChecksumMismatch,
    LonghandError,
    TooManyRequests,
    UploadConflict,
    UploadNotFound,
)
from shared.keys import UPLOAD, UPLOAD_PARTS, UPLOADS
from shared.records import is_job_id, new_job_id
from shared.sizes import in_words
from shared.storage import KeyNotFound, Storage

MOST_PART_BYTES = 8 * 1024 * 1024
MOST_PARTS = 10_000
CHECKSUMS = ("sha1", "sha256", "md5")

_READ_BYTES = 1 << 16

_BEGIN = """
-- KEYS  upload, the owner's uploads
-- ARGV  now, most uploads, seconds it is kept, when that ends, id, then field, value ...
redis.call('ZREMRANGEBYSCORE', KEYS[2], 0, ARGV[1])
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[2]) then return 'many' end
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[5])
redis.call('HSET', KEYS[1], unpack(ARGV, 6))
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[3]) end
return 'begun'
"""
_CONTINUE = f"""
-- KEYS  upload, its parts, the owner's uploads
-- ARGV  offset, bytes, part, seconds it is kept, when that ends, id
local offset = redis.call('HGET', KEYS[1], 'offset')
if offset ~= ARGV[1] then return offset or 'gone' end
if redis.call('LLEN', KEYS[2]) >= {MOST_PARTS} then return 'many' end
redis.call('HINCRBY', KEYS[1], 'offset', ARGV[2])
redis.call('HSET', KEYS[1], 'expires_at', ARGV[5])
redis.call('RPUSH', KEYS[2], ARGV[3])
redis.call('ZADD', KEYS[3], ARGV[5], ARGV[6])
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[4]) end
return 'continued'
"""


@dataclass(frozen=True)
class Upload:
    """
    One upload as it stands.

    Attributes:
        n_bytes: How many it will have.
        offset: How many have arrived.
        metadata: The Upload-Metadata as it was sent, which is given back.
        filename: The filename in the metadata.
        expires_at: When it is removed, in seconds since the epoch.
    """

    id: str
    owner: str
    n_bytes: int
    offset: int
    metadata: str
    filename: str
    expires_at: float


class Uploads:
    """
    Every upload that is not a job yet.

    Args:
        ttl_s: How long an upload is kept after its last part.
        most: How many uploads an owner may have.
        limit: The most bytes that an upload may have.
    """

    def __init__(
        self, redis: Redis, storage: Storage, *, ttl_s: int, most: int, limit: int
    ) -> None:
        self._redis = redis
        self._storage = storage
        self._ttl_s = ttl_s
        self._most = most
        self._limit = limit
        self._begin = redis.register_script(_BEGIN)
        self._continue = redis.register_script(_CONTINUE)

    def create(self, owner: str, n_bytes: int, metadata: str, filename: str) -> Upload:
        """
        Begin an upload.

        Raises:
            AudioTooLarge: It would be over the limit.
            TooManyRequests: Its owner has too many uploads.
        """
        if n_bytes > self._limit:
            raise AudioTooLarge(
                f"the upload is {in_words(n_bytes)}; the limit is {in_words(self._limit)} "
                "(LONGHAND_MAX_AUDIO_BYTES)",
                param="Upload-Length",
            )
        now = time.time()
        upload = Upload(new_job_id(), owner, n_bytes, 0, metadata, filename, now + self._ttl_s)
        values = [part for pair in vars(upload).items() if pair[0] != "id" for part in pair]
        begun: Any = self._begin(
            keys=[UPLOAD.of(upload.id), UPLOADS.of(owner)],
            args=[now, self._most, self._ttl_s, upload.expires_at, upload.id, *values],
        )
        if begun != b"begun":
            raise TooManyRequests(
                f"there are {self._most} uploads in progress (LONGHAND_MAX_UPLOADS); finish one, "
                "or remove it by DELETE /uploads/{upload_id}",
                retry_after_s=60,
            )
        return upload

    def get(self, upload_id: str, *, owner: str) -> Upload:
        """
        Return an upload.

        Raises:
            UploadNotFound: There is none, it has expired, or it is another owner's.
        """
        fields: Any = self._redis.hgetall(UPLOAD.of(upload_id)) if is_job_id(upload_id) else {}
        upload = _read(upload_id, fields) if b"expires_at" in fields else None
        if upload is None or upload.owner != owner:
            raise UploadNotFound(
                f"there is no upload {upload_id[:64]!r}; it may have expired "
                "(LONGHAND_UPLOAD_TTL_S)"
            )
        return upload

    def finished(self, upload_id: str, *, owner: str) -> Upload:
        """
        Return an upload of which every byte has arrived.

        Raises:
            AudioUnreadable: It is empty.
            UploadConflict: Parts of it are missing.
            UploadNotFound: See `get`.
        """
        upload = self.get(upload_id, owner=owner)
        if upload.offset < upload.n_bytes:
            raise UploadConflict(
                f"the upload has {upload.offset} of its {upload.n_bytes} bytes; send the rest first"
            )
        if not upload.n_bytes:
            raise AudioUnreadable("the upload is empty", param="upload")
        return upload

    def append(
        self, upload: Upload, offset: int, body: IO[bytes], *, checksum: tuple[str, bytes] | None
    ) -> Upload:
        """
        Add a part, and return the upload as it is then.

        Args:
            offset: Where in the upload the part begins, as its sender says.
            checksum: One of `CHECKSUMS`, and the digest that the part must have.

        Raises:
            AudioTooLarge: The part is too large, larger than what is missing, or one too many.
            ChecksumMismatch: The part has another digest; nothing of it is kept.
            UploadConflict: The upload does not end at `offset`, or another part was added first.
            UploadNotFound: The upload was removed in the meantime.
        """
        if offset != upload.offset:
            raise _conflict(upload.offset, offset)
        prefix = f"uploads/{upload.id}/{offset}-{new_job_id()}"
        try:
            with self._storage.create(f"{prefix}/part") as out:
                n_bytes = _copy(body, out, upload.n_bytes - offset, checksum)
            expires_at = time.time() + self._ttl_s
            standing: Any = self._continue(
                keys=[UPLOAD.of(upload.id), UPLOAD_PARTS.of(upload.id), UPLOADS.of(upload.owner)],
                args=[offset, n_bytes, f"{prefix}/part", self._ttl_s, expires_at, upload.id],
            )
            if standing != b"continued":
                raise _refused(upload, offset, standing.decode())
        except BaseException:
            self._storage.delete_all(prefix)
            raise
        return self.get(upload.id, owner=upload.owner)

    def copy(self, upload: Upload, writer: AudioWriter) -> None:
        """
        Write a whole upload.

        Raises:
            UploadNotFound: One of its parts was removed.
        """
        with suppress(KeyNotFound):
            for part in as_texts(self._redis.lrange(UPLOAD_PARTS.of(upload.id), 0, -1)):
                with self._storage.open_local(part) as path, path.open("rb") as body:
                    copyfileobj(body, writer)
        if writer.n_bytes != upload.n_bytes:
            raise UploadNotFound(f"the upload {upload.id!r} was removed")

    def remove(self, upload: Upload) -> None:
        """Remove an upload and its parts."""
        pipe = self._redis.pipeline()
        pipe.delete(UPLOAD.of(upload.id), UPLOAD_PARTS.of(upload.id))
        pipe.zrem(UPLOADS.of(upload.owner), upload.id)
        pipe.execute()
        self._storage.delete_all(f"uploads/{upload.id}")


def part_too_large(n_bytes: int | None) -> AudioTooLarge:
    """
    The error of a part over the limit.

    >>> str(part_too_large(9_000_000))
    'the part is 9 MB; a PATCH may have 8388608 bytes at most: send the upload in several'
    """
    size = in_words(n_bytes) if n_bytes else "larger than allowed"
    return AudioTooLarge(
        f"the part is {size}; a PATCH may have {MOST_PART_BYTES} bytes at most: send the upload "
        "in several"
    )


def _copy(body: IO[bytes], out: Any, n_missing: int, checksum: tuple[str, bytes] | None) -> int:
    """Write a part, and return how many bytes it has."""
    digest = hashlib.new(checksum[0], usedforsecurity=False) if checksum else None
    n_bytes = 0
    while data := body.read(_READ_BYTES):
        n_bytes += len(data)
        if n_bytes > MOST_PART_BYTES:
            raise part_too_large(None)
        if n_bytes > n_missing:
            raise AudioTooLarge(
                f"the part goes on after the end of the upload, by Upload-Length "
                f"{n_missing} bytes from here"
            )
        if digest:
            digest.update(data)
        out.write(data)
    if checksum and digest and digest.digest() != checksum[1]:
        raise ChecksumMismatch("the part is not what its Upload-Checksum says; send it again")
    return n_bytes


def _refused(upload: Upload, offset: int, standing: str) -> LonghandError:
    """The error of a part that was not added; `standing` is what the script answered."""
    if standing == "gone":
        return UploadNotFound(f"the upload {upload.id!r} was removed")
    if standing == "many":
        return AudioTooLarge(f"the upload is in {MOST_PARTS} parts already; send larger ones")
    return _conflict(int(standing), offset)


def _conflict(at: int, sent: int) -> UploadConflict:
    return UploadConflict(
        f"Upload-Offset is {sent}; the upload stands at {at}, as HEAD says", param="Upload-Offset"
    )


def _read(upload_id: str, fields: Mapping[bytes, bytes]) -> Upload:
    values = {name.decode(): value.decode() for name, value in fields.items()}
    n_bytes, offset = int(values["n_bytes"]), int(values["offset"])
    metadata, filename = values["metadata"], values["filename"]
    expires_at = float(values["expires_at"])
    return Upload(upload_id, values["owner"], n_bytes, offset, metadata, filename, expires_at)
