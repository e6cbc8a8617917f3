"""What a client of Realtime asks for in `session.update`, in OpenAI's newer form and its beta."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import QueryParams

from gateway.live.audio.spec import AudioSpec
from gateway.live.protocols.realtime.sent import (
    BETA_FORMATS,
    LOGPROBS,
    PCM_RATE_HZ,
    TELEPHONE_HZ,
    SentInput,
    SentSession,
    SentTranscription,
    SentTurnDetection,
)
from shared.errors import InvalidRequest
from shared.live.request import Delay

_LEAST_SILENCE_S, _MOST_SILENCE_S = 0.2, 10.0
"""With less silence, pauses within a word would end an utterance."""

_ENCODINGS = {"audio/pcm": "linear16", "audio/pcmu": "mulaw", "audio/pcma": "alaw"}
_SEMANTIC_SILENCE_S = {"low": 1.0, "medium": 0.5, "auto": 0.5, "high": 0.3}
_DELAYS: Mapping[str, Delay] = {
    "minimal": "low", "low": "low", "medium": "normal", "high": "high", "xhigh": "high",
}  # fmt: skip


@dataclass(frozen=True)
class Configuration:
    """
    What one client asks for.

    Attributes:
        format, rate_hz: Of the audio; the formats are OpenAI's.
        silence_s: Silence that ends an utterance; None if the client commits utterances.
        has_logprobs: Whether words come with their probabilities.
    """

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    keywords: tuple[str, ...] = ()
    delay: Delay = "normal"
    format: str = "audio/pcm"
    rate_hz: int = PCM_RATE_HZ
    silence_s: float | None = 0.5
    has_logprobs: bool = False

    @property
    def spec(self) -> AudioSpec:
        """The form of the audio."""
        return AudioSpec(_ENCODINGS[self.format], self.rate_hz)

    @property
    def endpoint_s(self) -> float:
        """Silence after which the worker ends an utterance, in seconds."""
        return _MOST_SILENCE_S if self.silence_s is None else self.silence_s

    def updated(self, sent: SentSession) -> Configuration:
        """
        The same with what a client changes. Fields that are not sent stay as they are.

        Raises:
            InvalidRequest: A value is not possible; `param` names the field.
        """
        changed = self._with_input((sent.audio and sent.audio.input) or SentInput())
        if "include" in sent.model_fields_set:
            changed = replace(changed, has_logprobs=LOGPROBS in (sent.include or ()))
        changed.spec.check()
        return changed

    def _with_input(self, sent: SentInput) -> Configuration:
        found, given = self, sent.model_fields_set
        if sent.format is not None:
            is_pcm = sent.format.type == "audio/pcm"
            rate_hz = sent.format.rate if is_pcm else TELEPHONE_HZ
            found = replace(found, format=sent.format.type, rate_hz=rate_hz)
        if sent.transcription is not None:
            found = replace(found, **_changes(sent.transcription))
        if "turn_detection" in given:
            found = replace(found, silence_s=_silence_s(sent.turn_detection))
        return found

    def shown(self, session_id: str, model: str, *, is_beta: bool) -> dict[str, Any]:
        """The session as OpenAI's servers show it, with what is really in effect."""
        transcription = {"model": model, "language": self.language, "prompt": self.prompt}
        silence_ms = None if self.silence_s is None else round(self.silence_s * 1000)
        turns = None if silence_ms is None else {
            "type": "server_vad", "silence_duration_ms": silence_ms,
        }  # fmt: skip
        include = [LOGPROBS] if self.has_logprobs else None
        value = {"id": session_id, "object": "realtime.transcription_session"}
        if is_beta:
            formats = {form: name for name, form in BETA_FORMATS.items()}
            return value | {
                "client_secret": None,
                "input_audio_format": formats[self.format],
                "input_audio_transcription": transcription,
                "input_audio_noise_reduction": None,
                "turn_detection": turns,
                "include": include,
            }
        form: dict[str, Any] = {"type": self.format}
        heard = {
            "format": form | ({"rate": self.rate_hz} if self.format == "audio/pcm" else {}),
            "transcription": transcription,
            "noise_reduction": None,
            "turn_detection": turns,
        }
        return value | {"type": "transcription", "audio": {"input": heard}, "include": include}


def read_query(sent: QueryParams) -> Configuration:
    """
    What the address asks for: `model`, or `transcription_model`, and `language`.

    Raises:
        InvalidRequest: It asks for something else than a transcription.
    """
    intent = sent.get("intent", "transcription")
    if intent != "transcription":
        raise InvalidRequest(
            f"intent is {intent[:50]!r}; only `transcription` is possible here", param="intent"
        )
    model = sent.get("transcription_model") or sent.get("model") or None
    # The model that a client would speak with; what it hears with is told by `session.update`.
    if model and model.startswith("gpt-realtime"):
        model = None
    return Configuration(model=model, language=sent.get("language") or None)


def _changes(sent: SentTranscription) -> dict[str, Any]:
    """Fields of `Configuration` that a client's `transcription` sets."""
    given = sent.model_fields_set
    found: dict[str, Any] = {
        name: getattr(sent, name) for name in ("model", "language", "prompt") if name in given
    }
    if len(sent.languages) == 1 and not sent.language:
        found["language"] = sent.languages[0]
    if "keywords" in given:
        found["keywords"] = sent.keywords or ()
    if sent.delay is not None:
        found["delay"] = _DELAYS[sent.delay]
    return found


def _silence_s(sent: SentTurnDetection | None) -> float | None:
    if sent is None:
        return None
    if sent.type == "semantic_vad":
        return _SEMANTIC_SILENCE_S[sent.eagerness]
    return min(max(sent.silence_duration_ms / 1000, _LEAST_SILENCE_S), _MOST_SILENCE_S)
