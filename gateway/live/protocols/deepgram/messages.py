"""
The messages that Deepgram's live clients are sent.

Their SDKs refuse a message that lacks a field; see deepgram-python-sdk, `listen/v1/types`.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from gateway.answering.passages import bare
from gateway.live.sessions.text import LiveSegment, joined
from shared.live.updates import LiveWord

CHANNEL = [0, 1]
"""The first of one."""


class Messages:
    """
    Writes the messages of one connection.

    Args:
        session_id: Is shown as `request_id`, in the form of a UUID.
        model: The model that is really used.
        is_plain: Whether the text has neither capitals nor punctuation.
    """

    def __init__(self, session_id: str, model: str, *, is_plain: bool) -> None:
        self._request_id = str(uuid.uuid5(uuid.NAMESPACE_URL, session_id))
        self._model_id = str(uuid.uuid5(uuid.NAMESPACE_URL, model))
        self._info = {"name": model, "version": "latest", "arch": "whisper"}
        self._is_plain = is_plain

    def metadata(self, created: str, duration_s: float, sha256: str) -> dict[str, Any]:
        """About the whole connection: sent when it opens, and at its end."""
        return {
            "type": "Metadata",
            "transaction_key": "deprecated",
            "request_id": self._request_id,
            "sha256": sha256,
            "created": created,
            "duration": round(duration_s, 3),
            "channels": 1,
            "models": [self._model_id],
            "model_info": {self._model_id: self._info},
        }

    def interim(self, words: Sequence[LiveWord], heard_s: float) -> dict[str, Any]:
        """Words that may still change."""
        start = words[0].start
        return self._results(words, start, max(heard_s - start, 0.0), is_final=False)

    def final(self, segment: LiveSegment) -> dict[str, Any]:
        """A segment that has ended."""
        reason = segment.ending.reason
        value = self._results(segment.words, segment.start, segment.end - segment.start)
        return value | {
            "speech_final": reason == "utterance",
            "from_finalize": reason == "flush",
        }

    def nothing(self, at_s: float) -> dict[str, Any]:
        """The answer to a `Finalize` before which nothing was said."""
        return self._results((), at_s, 0.0) | {"from_finalize": True}

    def speech_started(self, at_s: float) -> dict[str, Any]:
        """Somebody begins to speak."""
        return {"type": "SpeechStarted", "channel": CHANNEL, "timestamp": at_s}

    def utterance_end(self, last_word_end: float) -> dict[str, Any]:
        """It was silent for as long as the client asked."""
        return {"type": "UtteranceEnd", "channel": CHANNEL, "last_word_end": last_word_end}

    def _results(
        self, words: Sequence[LiveWord], start: float, duration_s: float, *, is_final: bool = True
    ) -> dict[str, Any]:
        shown = [self._word(word) for word in words]
        text = joined(tuple(words))
        if self._is_plain:
            spaced = [
                (" " if word.text[:1].isspace() else "") + _plain(word.text) for word in words
            ]
            text = "".join(spaced).strip()
        confidence = sum(word.probability for word in words) / len(words) if words else 0.0
        alternative = {"transcript": text, "confidence": round(confidence, 4), "words": shown}
        return {
            "type": "Results",
            "channel_index": CHANNEL,
            "duration": round(duration_s, 3),
            "start": start,
            "is_final": is_final,
            "speech_final": False,
            "from_finalize": False,
            "channel": {"alternatives": [alternative]},
            "metadata": {
                "request_id": self._request_id,
                "model_info": self._info,
                "model_uuid": self._model_id,
            },
        }

    def _word(self, word: LiveWord) -> dict[str, Any]:
        value = {
            "word": _plain(word.text),
            "start": word.start,
            "end": word.end,
            "confidence": word.probability,
        }
        return value if self._is_plain else value | {"punctuated_word": word.text.strip()}


def _plain(word: str) -> str:
    return bare(word).lower()
