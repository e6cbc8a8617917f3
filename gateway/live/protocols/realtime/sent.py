"""A client's `session` as `session.update` brings it, and which of its fields have no effect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from gateway.live.protocols.reading import invalid
from shared.errors import InvalidRequest

LOGPROBS = "item.input_audio_transcription.logprobs"
PCM_RATE_HZ, TELEPHONE_HZ = 24_000, 8_000
BETA_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}

_MOST_WARNINGS = 20

_BETA_NAMES = {
    "input_audio_transcription": "transcription",
    "input_audio_noise_reduction": "noise_reduction",
    "turn_detection": "turn_detection",
}


def _number(value: object) -> object:
    """Pydantic would take `true` for 1, and text for the number in it."""
    if isinstance(value, bool | str):
        raise ValueError("must be a number")
    return value


_Whole = Annotated[int, BeforeValidator(_number)]


class _Sent(BaseModel):
    """What is not here is kept, so that the client can be told of it."""

    model_config = ConfigDict(extra="allow")

    def useless(self) -> set[str]:
        """Fields that have no effect beside what else was sent."""
        extra = self.model_extra or {}
        # Null and false ask for nothing.
        return {name for name, value in extra.items() if value is not None and value is not False}


class SentFormat(_Sent):
    """`format`: of the audio."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    rate: _Whole = PCM_RATE_HZ

    def useless(self) -> set[str]:
        """Telephones have one rate."""
        is_telephone = self.type != "audio/pcm" and "rate" in self.model_fields_set
        return super().useless() | (
            {"rate"} if is_telephone and self.rate != TELEPHONE_HZ else set()
        )


class SentTranscription(_Sent):
    """`transcription`: what text is asked for."""

    model: str | None = Field(None, max_length=200)
    language: str | None = None
    languages: tuple[str, ...] = ()
    prompt: str | None = None
    keywords: tuple[str, ...] | None = Field(None, max_length=100)
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None

    def useless(self) -> set[str]:
        """A session has one language, or finds it among all."""
        is_choice = len(self.languages) > 1 or (self.languages and self.language)
        return super().useless() | ({"languages"} if is_choice else set())


class SentTurnDetection(_Sent):
    """`turn_detection`: when an item ends."""

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    silence_duration_ms: _Whole = Field(500, ge=0, le=60_000)
    eagerness: Literal["low", "medium", "high", "auto"] = "auto"

    def useless(self) -> set[str]:
        """Each type has a field of its own."""
        other = "eagerness" if self.type == "server_vad" else "silence_duration_ms"
        return super().useless() | ({other} & self.model_fields_set)


class SentInput(_Sent):
    """`audio.input`."""

    format: SentFormat | None = None
    transcription: SentTranscription | None = None
    turn_detection: SentTurnDetection | None = None


class SentAudio(_Sent):
    """`audio`."""

    input: SentInput | None = None


class SentSession(_Sent):
    """`session`."""

    type: Literal["transcription"] = "transcription"
    audio: SentAudio | None = None
    include: tuple[Literal["item.input_audio_transcription.logprobs"], ...] | None = None


def read_session(sent: object, *, is_beta: bool) -> SentSession:
    """
    What a client sends as `session`.

    Raises:
        InvalidRequest: A value is not possible; `param` names the field as the client does.
    """
    if not isinstance(sent, dict):
        raise InvalidRequest("session must be an object", param="session")
    try:
        return SentSession.model_validate(_from_beta(sent) if is_beta else sent)
    except ValidationError as error:
        found = invalid(error)
        name = _name((found.param or "").split("."), is_beta=is_beta)
        problem = found.message.partition(": ")[2]
        raise InvalidRequest(f"{name}: {problem}", param=name) from error


def warnings_of(sent: SentSession, *, is_beta: bool) -> list[dict[str, str]]:
    """A warning for each field that has no effect, but for no more than a screenful."""
    paths = islice(_useless(sent, []), _MOST_WARNINGS)
    names = [_name(path, is_beta=is_beta) for path in paths]
    return [
        {"code": "no_effect", "param": name, "message": f"{name} has no effect"} for name in names
    ]


def _useless(sent: _Sent, path: list[str]) -> Iterator[list[str]]:
    for name in sorted(sent.useless()):
        yield [*path, name[:100]]
    for name in sorted(sent.model_fields_set):
        if isinstance(inner := getattr(sent, name), _Sent):
            yield from _useless(inner, [*path, name])


def _from_beta(sent: Mapping[str, Any]) -> dict[str, Any]:
    """A session of the beta in the newer form."""
    heard = {new: sent[old] for old, new in _BETA_NAMES.items() if old in sent}
    if "input_audio_format" in sent:
        name = sent["input_audio_format"]
        if not isinstance(name, str) or name not in BETA_FORMATS:
            raise InvalidRequest(
                f"input_audio_format must be one of {', '.join(BETA_FORMATS)}",
                param="session.input_audio_format",
            )
        heard["format"] = {"type": BETA_FORMATS[name]}
    known = {*_BETA_NAMES, "input_audio_format"}
    rest = {name: value for name, value in sent.items() if name not in known}
    return {**rest, "audio": {"input": heard}}


def _name(path: list[str], *, is_beta: bool) -> str:
    """A field as the client wrote it."""
    if is_beta and path[:2] == ["audio", "input"]:
        old = {new: old for old, new in _BETA_NAMES.items()}
        path = [old.get(name, name) if n == 0 else name for n, name in enumerate(path[2:])]
    return ".".join(["session", *path])
