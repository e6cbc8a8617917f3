"""What callers of live protocols send, as errors and values of ours."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from starlette.websockets import WebSocket

from gateway.errors import RETRY_REDIS_S
from gateway.live.sessions.opening import LiveSessions
from shared.errors import Busy, InvalidRequest, LonghandError
from shared.live.request import LiveRequest


def invalid(error: ValidationError) -> InvalidRequest:
    """The first problem of a message, as an error that names the field."""
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return InvalidRequest(f"{name or 'the message'}: {message}", param=name or None)


def own_error(error: Exception) -> LonghandError:
    """What a caller is told whose session cannot be opened: else than ours, Redis is away."""
    if isinstance(error, LonghandError):
        return error
    return Busy("live sessions cannot be opened now; try again", retry_after_s=RETRY_REDIS_S)


async def accept(socket: WebSocket) -> str | None:
    """
    Accept a WebSocket.

    Returns:
        The key, if it came as the pair of subprotocols `bearer, <key>`: scripts of a browser can
        set no header.
    """
    match socket.scope["subprotocols"]:
        case ["bearer", key]:
            # RFC 6455, 4.1: a browser gives up unless one of its subprotocols is chosen.
            await socket.accept("bearer")
            return str(key)
    await socket.accept()
    return None


async def asked_request(
    live: LiveSessions, model: str | None, *, strict: bool = False, **options: Any
) -> LiveRequest:
    """
    What a caller asks for, with the site's own choices.

    Args:
        model: As the caller names it; None for the site's default.
        strict: Whether an unknown model is refused.
        options: Other fields of `LiveRequest`.

    Raises:
        InvalidRequest: A value is not possible.
        ModelNotFound: There is no such model.
    """
    try:
        return LiveRequest(
            model=await live.model(model, strict=strict),
            chinese=live.settings.default_chinese,
            **options,
        )
    except ValidationError as error:
        raise invalid(error) from error
