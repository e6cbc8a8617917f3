"""`/uploads`: audio in parts, by the protocol tus 1.0.0 (tus.io/protocols/resumable-upload)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import MethodNotAllowed, PreconditionFailed
from werkzeug.http import http_date

from gateway.access.auth import present_owner
from gateway.answering.answers import as_rfc3339
from gateway.answering.shapes.uploads import UploadCreated
from gateway.errors import ErrorAnswer
from gateway.openapi.documented import Answer, Body, Header, documented
from gateway.reading.audio import clean_filename
from gateway.reading.resumable import CHECKSUMS, MOST_PART_BYTES, Upload, part_too_large
from gateway.services import services
from shared import errors
from shared.errors import InvalidRequest, UnsupportedMedia

blueprint = Blueprint("uploads", __name__)

VERSION = "1.0.0"
PART_TYPE = "application/offset+octet-stream"

_MOST_METADATA = 8000
_TUS = {
    "Tus-Resumable": Header("The version of the protocol.", {"const": VERSION}, is_required=True)
}
_OTHER_VERSION = {412: Answer(ErrorAnswer, description="Another version of the protocol.")}
_COUNT = {"type": "string", "pattern": "^[0-9]{1,18}$"}
_BASE64 = "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_METADATA = f"^([^ ,]+( {_BASE64})?(, ?|$))*$"
_PART_ERRORS = (
    errors.InvalidRequest,
    errors.UnsupportedMedia,
    errors.UploadNotFound,
    errors.UploadConflict,
    errors.ChecksumMismatch,
    errors.AudioTooLarge,
    errors.StorageFull,
)
_STANDING = {
    "Upload-Offset": "How many bytes have arrived.",
    "Upload-Expires": "When the upload is removed.",
}


@blueprint.before_request
def _speak_our_version() -> None:
    """Refuse another version of the protocol than ours."""
    if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
        raise PreconditionFailed(f"send the header Tus-Resumable: {VERSION}, as clients of tus do")


@blueprint.after_request
def _say_our_version(answer: Response) -> Response:
    answer.headers["Tus-Resumable"] = VERSION
    if answer.status_code == 412:
        answer.headers["Tus-Version"] = VERSION
    return answer


@blueprint.route("/uploads", methods=["OPTIONS"])
@blueprint.route("/uploads/<upload_id>", methods=["OPTIONS"])
@documented(tag="uploads", answers={204: Answer(media_types=())}, access="open")
def show_protocol(upload_id: str = "") -> Response:
    """Tell which parts of the protocol this site has."""
    answer = Response(status=204)
    answer.headers["Tus-Version"] = VERSION
    answer.headers["Tus-Extension"] = "creation,expiration,termination,checksum"
    answer.headers["Tus-Checksum-Algorithm"] = ",".join(CHECKSUMS)
    answer.headers["Tus-Max-Size"] = str(services().settings.max_audio_bytes)
    return answer


@blueprint.post("/uploads")
@documented(
    tag="uploads",
    answers={
        201: Answer(UploadCreated, headers={"Location": "The upload's URL.", **_STANDING}),
        **_OTHER_VERSION,
    },
    errors=(errors.InvalidRequest, errors.AudioTooLarge, errors.TooManyRequests),
    headers=_TUS
    | {
        "Upload-Length": Header("How many bytes the upload will have.", _COUNT, is_required=True),
        "Upload-Metadata": Header(
            "Pairs of a name and its value in base64, with commas; `filename` is read.",
            {"type": "string", "pattern": _METADATA},
        ),
    },
)
def create_upload() -> Response:
    """Begin an upload in parts."""
    if "Upload-Defer-Length" in request.headers:
        raise InvalidRequest("Upload-Defer-Length is not possible; send Upload-Length")
    n_bytes = _read_count("Upload-Length")
    metadata = request.headers.get("Upload-Metadata", "")
    names = read_metadata(metadata)
    filename = clean_filename(names.get("filename") or names.get("name") or "")
    upload = services().uploads.create(present_owner(), n_bytes, metadata, filename)
    url = f"/uploads/{upload.id}"
    expires_at = as_rfc3339(upload.expires_at)
    answer = jsonify(
        UploadCreated(success=True, upload=upload.id, upload_url=url, expires_at=expires_at).value()
    )
    answer.status_code = 201
    answer.headers["Location"] = url
    return _with_standing(answer, upload)


@blueprint.route("/uploads/<upload_id>", methods=["HEAD"])
@documented(
    tag="uploads",
    answers={
        200: Answer(
            media_types=(),
            headers=_STANDING
            | {
                "Upload-Length": "How many bytes it will have.",
                "Upload-Metadata": "As it was sent.",
            },
        ),
        412: Answer(media_types=(), description="Another version of the protocol."),
    },
    errors=(errors.UploadNotFound,),
    headers=_TUS,
)
def show_upload(upload_id: str) -> Response:
    """Tell how many bytes of an upload have arrived."""
    upload = services().uploads.get(upload_id, owner=present_owner())
    answer = Response(status=200)
    answer.headers["Upload-Length"] = str(upload.n_bytes)
    answer.headers["Cache-Control"] = "no-store"
    if upload.metadata:
        answer.headers["Upload-Metadata"] = upload.metadata
    return _with_standing(answer, upload)


@blueprint.patch("/uploads/<upload_id>")
@documented(
    tag="uploads",
    body=Body(media_types=(PART_TYPE,), is_raw=True),
    answers={204: Answer(media_types=(), headers=_STANDING), **_OTHER_VERSION},
    errors=_PART_ERRORS,
    headers=_TUS
    | {
        "Upload-Offset": Header("Where the part belongs.", _COUNT, is_required=True),
        "Upload-Checksum": Header(
            "An algorithm and, in base64, the part's digest by it.",
            {"type": "string", "pattern": rf"^({'|'.join(CHECKSUMS)}) {_BASE64}$"},
        ),
    },
)
def append_part(upload_id: str) -> Response:
    """Add a part to an upload, of 8 MiB at most."""
    if request.mimetype != PART_TYPE:
        raise UnsupportedMedia(f"the part is {request.mimetype or 'of no type'}; send {PART_TYPE}")
    offset = _read_count("Upload-Offset")
    checksum = _read_checksum(request.headers.get("Upload-Checksum"))
    if (request.content_length or 0) > MOST_PART_BYTES:
        raise part_too_large(request.content_length)
    uploads = services().uploads
    upload = uploads.get(upload_id, owner=present_owner())
    upload = uploads.append(upload, offset, request.stream, checksum=checksum)
    return _with_standing(Response(status=204), upload)


@blueprint.delete("/uploads/<upload_id>")
@documented(
    tag="uploads",
    answers={204: Answer(media_types=()), **_OTHER_VERSION},
    errors=(errors.UploadNotFound,),
    headers=_TUS,
)
def remove_upload(upload_id: str) -> Response:
    """Remove an upload and its parts."""
    uploads = services().uploads
    uploads.remove(uploads.get(upload_id, owner=present_owner()))
    return Response(status=204)


@blueprint.post("/uploads/<upload_id>")
@documented(
    tag="uploads",
    answers={
        204: Answer(media_types=()),
        200: Answer(media_types=()),
        405: Answer(ErrorAnswer, description="The header names no method of an upload."),
        **_OTHER_VERSION,
    },
    errors=_PART_ERRORS,
    headers=_TUS
    | {
        "X-HTTP-Method-Override": Header(
            "The method to use.", {"enum": ["HEAD", "PATCH", "DELETE"]}, is_required=True
        )
    },
)
def override_method(upload_id: str) -> Response:
    """Do what `X-HTTP-Method-Override` says, for callers who can only send POST."""
    views: dict[str, Callable[[str], Response]] = {
        "HEAD": show_upload,
        "PATCH": append_part,
        "DELETE": remove_upload,
    }
    view = views.get(request.headers.get("X-HTTP-Method-Override", "").upper())
    if view is None:
        raise MethodNotAllowed(valid_methods=[*views])
    return view(upload_id)


def _with_standing(answer: Response, upload: Upload) -> Response:
    answer.headers["Upload-Offset"] = str(upload.offset)
    answer.headers["Upload-Expires"] = http_date(upload.expires_at)
    return answer


def _read_count(name: str) -> int:
    value = request.headers.get(name, "")
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise InvalidRequest(f"the header {name} has to be a whole number from 0", param=name)
    return int(value)


def _read_checksum(value: str | None) -> tuple[str, bytes] | None:
    if value is None:
        return None
    algorithm, _, encoded = value.strip().partition(" ")
    if algorithm not in CHECKSUMS:
        raise InvalidRequest(
            f"Upload-Checksum is of {algorithm[:64]!r}; it may be one of {', '.join(CHECKSUMS)}",
            param="Upload-Checksum",
        )
    try:
        return algorithm, base64.b64decode(encoded.strip(), validate=True)
    except binascii.Error as error:
        raise InvalidRequest("Upload-Checksum is not base64", param="Upload-Checksum") from error


def read_metadata(value: str) -> dict[str, str]:
    """
    The names and values of an Upload-Metadata header.

    Raises:
        InvalidRequest: The header is too long or not of that form.

    >>> read_metadata("filename dGFsay53YXY=,is_final")
    {'filename': 'talk.wav', 'is_final': ''}
    """
    if len(value) > _MOST_METADATA:
        raise InvalidRequest(
            f"Upload-Metadata is over {_MOST_METADATA} characters long", param="Upload-Metadata"
        )
    if not re.fullmatch(_METADATA, value):
        raise InvalidRequest(
            "Upload-Metadata is not a name and a base64 text, with commas between pairs",
            param="Upload-Metadata",
        )
    found = {}
    for pair in filter(None, value.split(",")):
        name, _, encoded = pair.strip().partition(" ")
        found[name] = base64.b64decode(encoded).decode("utf-8", "replace")
    return found
