"""What `/uploads` answers beside headers."""

from __future__ import annotations

from gateway.answering.shapes.base import Succeeded


class UploadCreated(Succeeded):
    """An upload was begun."""

    upload: str
    upload_url: str
    expires_at: str
