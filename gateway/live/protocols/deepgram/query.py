"""The query of a live connection of Deepgram's clients."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.datastructures import QueryParams

from gateway.deepgram.options import ListenOptions
from gateway.live.audio.spec import RATE_HZ, AudioSpec
from gateway.live.protocols.reading import invalid
from shared.errors import InvalidRequest

_LEAST_ENDPOINT_S, _MOST_ENDPOINT_S = 0.2, 10.0
"""With less silence, pauses within a word would end an utterance."""

_USUAL_ENDPOINT_S = 0.4
_MOST_DIGITS = 9
"""Of a number of milliseconds. Python refuses to read numbers of thousands of digits."""

_OFF = ("", "false", "0", "no", "off", "none")
_NOT_HERE = {
    "multichannel": "open a connection for each channel",
    "diarize": "speakers are told apart in recordings only",
    "redact": "nothing is taken out of the text here",
    "replace": "nothing is replaced in the text here",
    "profanity_filter": "nothing is taken out of the text here",
}
"""Parameters that would change what comes back, and that cannot be done here."""

_LISTED = ("keyterm", "keywords")


def _no_empty(value: object) -> object:
    return None if value == "" else value


_Optional = BeforeValidator(_no_empty)


class LiveListenQuery(BaseModel):
    """
    Deepgram's parameters that mean something here; all others are ignored.

    Attributes:
        endpointing: Milliseconds of silence that end an utterance, or `false` for as long as
            possible.
        utterance_end_ms: Silence after which `UtteranceEnd` is sent; None for never.
    """

    model_config = ConfigDict(extra="ignore")

    model: Annotated[str | None, _Optional] = Field(None, max_length=200)
    language: Annotated[str | None, _Optional] = None
    encoding: Annotated[str | None, _Optional] = None
    sample_rate: Annotated[int | None, _Optional] = None
    channels: int = 1
    interim_results: bool = False
    punctuate: bool | None = None
    smart_format: bool = False
    vad_events: bool = False
    endpointing: str = ""
    utterance_end_ms: Annotated[int | None, _Optional] = Field(None, ge=1000, le=5000)
    keyterm: tuple[str, ...] = Field((), max_length=100)
    keywords: tuple[str, ...] = Field((), max_length=100)

    @property
    def is_plain(self) -> bool:
        """Whether the text has neither capitals nor punctuation."""
        return ListenOptions(punctuate=self.punctuate, smart_format=self.smart_format).is_plain

    @property
    def hotwords(self) -> str | None:
        """The words to expect."""
        found = ListenOptions(keyterm=self.keyterm, keywords=self.keywords).hotwords
        return " ".join(found) or None

    @property
    def endpoint_s(self) -> float:
        """Silence that ends an utterance, in seconds."""
        sent = self.endpointing.lower()
        if sent in ("", "true"):
            return _USUAL_ENDPOINT_S
        if sent in _OFF:
            return _MOST_ENDPOINT_S
        return min(max(int(sent) / 1000, _LEAST_ENDPOINT_S), _MOST_ENDPOINT_S)

    @property
    def spec(self) -> AudioSpec:
        """The form of the audio; without `encoding` and `sample_rate`, a container."""
        if self.encoding is None and self.sample_rate is None:
            return AudioSpec(None)
        return AudioSpec(self.encoding or "linear16", self.sample_rate or RATE_HZ, self.channels)


def read_query(sent: QueryParams) -> LiveListenQuery:
    """
    What a client asks for.

    Raises:
        InvalidRequest: A value is not possible, or cannot be done here.
    """
    for name, why in _NOT_HERE.items():
        if sent.get(name, "").lower() not in _OFF:
            raise InvalidRequest(f"{name} is not possible in live speech: {why}", param=name)
    given = {name: sent[name] for name in sent if name not in _LISTED}
    try:
        query = LiveListenQuery.model_validate(
            given | {name: tuple(sent.getlist(name)) for name in _LISTED}
        )
    except ValidationError as error:
        raise invalid(error) from error
    if query.utterance_end_ms is not None and not query.interim_results:
        raise InvalidRequest(
            "utterance_end_ms needs interim_results=true", param="utterance_end_ms"
        )
    sent_ms = query.endpointing
    is_number = sent_ms.isascii() and sent_ms.isdecimal() and len(sent_ms) <= _MOST_DIGITS
    if not is_number and query.endpointing.lower() not in (*_OFF, "true"):
        raise InvalidRequest(
            f"endpointing is {query.endpointing[:50]!r}; it must be milliseconds, or false",
            param="endpointing",
        )
    query.spec.check()
    return query
