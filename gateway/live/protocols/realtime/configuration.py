"""What a client of Realtime asks for in `session.update`, in OpenAI's newer form and its beta."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import QueryParams

from gateway.live.audio.spec import AudioSpec
from gateway.live.protocols.reading import invalid
from shared.errors import InvalidRequest
from shared.live.request import Delay

LOGPROBS = "item.input_audio_transcription.logprobs"
PCM_RATE_HZ = 24_000

_LEAST_SILENCE_S, _MOST_SILENCE_S = 0.2, 10.0
"""With less silence, pauses within a word would end an utterance."""

_ENCODINGS = {"audio/pcm": "linear16", "audio/pcmu": "mulaw", "audio/pcma": "alaw"}
_TELEPHONE_HZ = 8_000
_BETA_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
_BETA_NAMES = {
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "turn_detection": "turn_detection",
}
_SEMANTIC_SILENCE_S = {"low": 1.0, "medium": 0.5, "auto": 0.5, "high": 0.3}
_DELAYS: Mapping[str, Delay] = {
    "minimal": "low", "low": "low", "medium": "normal", "high": "high", "xhigh": "high",
}  # fmt: skip


class _Sent(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Format(_Sent):
    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: int = PCM_RATE_HZ


class _Transcription(_Sent):
    model: str | None = Field(None, max_length=200)
    language: str | None = None
    languages: tuple[str, ...] = ()
    prompt: str | None = None
    keywords: tuple[str, ...] | None = Field(None, max_length=100)
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class _TurnDetection(_Sent):
    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    silence_duration_ms: int = Field(500, ge=0, le=60_000)
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"


class _Input(_Sent):
    format: _Format | None = None
    transcription: _Transcription | None = None
    turn_detection: _TurnDetection | None = None


class _Audio(_Sent):
    input: _Input | None = None


class _Session(_Sent):
    type: Literal["transcription"] = "transcription"
    audio: _Audio | None = None
    include: tuple[str, ...] | None = None


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

    def updated(self, sent: object, *, is_beta: bool) -> Configuration:
        """
        The same with what a client changes. Fields that are not sent stay as they are.

        Args:
            sent: The field `session` of the client's event.

        Raises:
            InvalidRequest: A value is not possible; `param` names the field.
        """
        if not isinstance(sent, dict):
            raise InvalidRequest("session must be an object", param="session")
        try:
            asked = _Session.model_validate(_from_beta(sent) if is_beta else sent)
        except ValidationError as error:
            raise _named(error, is_beta=is_beta) from error
        changed = self._with_input((asked.audio and asked.audio.input) or _Input())
        if "include" in asked.model_fields_set:
            changed = replace(changed, has_logprobs=LOGPROBS in (asked.include or ()))
        changed.spec.check()
        return changed

    def _with_input(self, sent: _Input) -> Configuration:
        found, given = self, sent.model_fields_set
        if sent.format is not None:
            is_pcm = sent.format.type == "audio/pcm"
            rate_hz = sent.format.rate if is_pcm else _TELEPHONE_HZ
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
        value = {"id": session_id, "object": "realtime.transcription_session", "expires_at": 0}
        if is_beta:
            formats = {form: name for name, form in _BETA_FORMATS.items()}
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


def _changes(sent: _Transcription) -> dict[str, Any]:
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


def _silence_s(sent: _TurnDetection | None) -> float | None:
    if sent is None:
        return None
    if sent.type == "semantic_vad":
        return _SEMANTIC_SILENCE_S[sent.eagerness]
    return min(max(sent.silence_duration_ms / 1000, _LEAST_SILENCE_S), _MOST_SILENCE_S)


def _from_beta(sent: Mapping[str, Any]) -> dict[str, Any]:
    """A session of the beta in the newer form."""
    heard = {new: sent[old] for old, new in _BETA_NAMES.items() if old in sent}
    if "input_audio_format" in sent:
        name = sent["input_audio_format"]
        if not isinstance(name, str) or name not in _BETA_FORMATS:
            raise InvalidRequest(
                f"input_audio_format must be one of {', '.join(_BETA_FORMATS)}",
                param="session.input_audio_format",
            )
        heard["format"] = {"type": _BETA_FORMATS[name]}
    include = {"include": sent["include"]} if "include" in sent else {}
    return {"audio": {"input": heard}, **include}


def _named(error: ValidationError, *, is_beta: bool) -> InvalidRequest:
    """The first problem, with the field as the client wrote it."""
    found = invalid(error)
    name = found.param or ""
    if is_beta:
        name = name.removeprefix("audio.input.")
        old = {new: old for old, new in _BETA_NAMES.items()}
        first, _, rest = name.partition(".")
        name = ".".join(part for part in (old.get(first, first), rest) if part)
    problem = found.message.partition(": ")[2]
    return InvalidRequest(f"session.{name}: {problem}", param=f"session.{name}")
