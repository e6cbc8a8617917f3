"""The live sessions of one engine process."""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from shared.errors import EngineFailed, LonghandError
from shared.live.request import LiveRequest
from worker.engines.live_decoder import LiveDecoder, LiveTask
from worker.live.guards import without_loop
from worker.live.messages import LiveAnswer, LiveFeed
from worker.live.policy import Heard
from worker.live.transcriber import Transcriber

_MOST_TOKENS = 220


class LiveModels(Protocol):
    """The models of this process."""

    def live_decoder(self, name: str) -> LiveDecoder:
        """
        A decoder of a model, which is loaded if it is not in memory.

        Raises:
            ModelNotFound, EngineFailed: It cannot be had, or its engine has no such decoder.
        """
        ...


class LiveService:
    """
    What the engine process does for live sessions.

    Sessions are decoded one after the other, so each is told as soon as it is its turn. In a batch
    they would be padded to the longest, and CTranslate2 takes only prompts of one length in a call.
    """

    def __init__(self, models: LiveModels) -> None:
        self._models = models
        self._sessions: dict[str, tuple[Transcriber, LiveDecoder]] = {}

    def open(self, session_id: str, request: str, state: str | None) -> None:
        """
        Begin a session, or go on with one.

        Args:
            request: A `LiveRequest`, as JSON.
            state: What a process before this one said last; see `LiveAnswer.state`.

        Raises:
            LonghandError: The model cannot be had, or does not know the language.
        """
        asked = LiveRequest.model_validate_json(request)
        decoder = self._models.live_decoder(asked.model)
        if asked.language:
            decoder.check_language(asked.language)
        self._sessions[session_id] = Transcriber(session_id, asked, decoder, state), decoder

    def feed(self, item: LiveFeed) -> LiveAnswer | None:
        """
        Take what has come for a session, and give what it says; None if it is not open here.

        Raises:
            LonghandError: The model could not do its work.
        """
        if item.session_id not in self._sessions:
            return None
        transcriber, decoder = self._sessions[item.session_id]
        steps = transcriber.hear(item)
        with suppress(StopIteration):
            task = next(steps)
            while True:
                task = steps.send(_decode(decoder, task))
        return transcriber.answer()

    def close(self, session_id: str) -> None:
        """Forget a session."""
        self._sessions.pop(session_id, None)


def _decode(decoder: LiveDecoder, task: LiveTask) -> Heard:
    try:
        encoded = decoder.encode(task)
        hypothesis = decoder.decode(task, encoded)
        tokens = without_loop(hypothesis.tokens, len(task.prefix))[:_MOST_TOKENS]
        language = hypothesis.language.language
        words = decoder.time_words(task, encoded, language, tokens) if tokens else []
    except LonghandError:
        raise
    except (RuntimeError, ValueError) as error:
        raise EngineFailed(f"the model could not decode live audio: {error}") from error
    return Heard(hypothesis, tuple(words))
