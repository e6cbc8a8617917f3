"""What `/uploads` answers beside headers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class UploadCreated(BaseModel):
    """An upload was begun."""

    success: Literal[True]
    upload: str
    upload_url: str
    expires_at: str
