"""The events that a client of Realtime is sent; see `openai/types/realtime` of OpenAI's SDKs."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from typing import Any

from shared.live.updates import LiveWord

Event = dict[str, Any]

_TRANSCRIPTION = "conversation.item.input_audio_transcription"


def new_id(kind: str) -> str:
    """A new id for an `event`, an `item` or a `sess`."""
    return f"{kind}_{secrets.token_hex(12)}"


def event(kind: str, **fields: Any) -> Event:
    """An event with an id of its own."""
    return {"event_id": new_id("event"), "type": kind, **fields}


def error(
    message: str, code: str | None, *, param: str | None = None, cause: str | None = None,
    kind: str = "invalid_request_error",
) -> Event:  # fmt: skip
    """
    An error.

    Args:
        cause: The id of the client's event that is refused, if it has one.
    """
    told = {"type": kind, "code": code, "message": message, "param": param, "event_id": cause}
    return event("error", error=told)


def created(item_id: str, previous_id: str | None, *, is_beta: bool) -> list[Event]:
    """The item of an utterance is there; the beta has one event for it, the newer form two."""
    content = [{"type": "input_audio", "transcript": None}]
    item = {
        "id": item_id, "object": "realtime.item", "type": "message", "status": "completed",
        "role": "user", "content": content,
    }  # fmt: skip
    kinds = ["conversation.item.created"] if is_beta else [
        "conversation.item.added", "conversation.item.created",
    ]  # fmt: skip
    return [event(kind, previous_item_id=previous_id, item=item) for kind in kinds]


def delta(item_id: str, text: str, words: Sequence[LiveWord], *, has_logprobs: bool) -> Event:
    """More of an item's text, which will not change."""
    probs = {"logprobs": _logprobs(words)} if has_logprobs else {}
    return event(f"{_TRANSCRIPTION}.delta", item_id=item_id, content_index=0, delta=text, **probs)


def completed(
    item_id: str, text: str, words: Sequence[LiveWord], length_s: float, *, has_logprobs: bool
) -> Event:
    """The whole text of an item."""
    return event(
        f"{_TRANSCRIPTION}.completed",
        item_id=item_id,
        content_index=0,
        transcript=text,
        usage={"type": "duration", "seconds": round(length_s, 3)},
        logprobs=_logprobs(words) if has_logprobs else None,
    )


def failed(item_id: str, problem: str) -> Event:
    """An item of which there will be no text, or no more."""
    told = {"type": "server_error", "code": "transcription_failed", "message": problem}
    return event(f"{_TRANSCRIPTION}.failed", item_id=item_id, content_index=0, error=told)


def _logprobs(words: Sequence[LiveWord]) -> list[dict[str, Any]]:
    """One entry a word, since words have probabilities here, and tokens have not."""
    return [
        {
            "token": word.text,
            "logprob": math.log(max(word.probability, 1e-9)),
            "bytes": list(word.text.encode()),
        }
        for word in words
    ]
