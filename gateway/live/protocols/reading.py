"""What callers of live protocols send, as errors and values of ours."""

from __future__ import annotations

from pydantic import ValidationError

from shared.errors import InvalidRequest


def invalid(error: ValidationError) -> InvalidRequest:
    """The first problem of a message, as an error that names the field."""
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return InvalidRequest(f"{name or 'the message'}: {message}", param=name or None)
