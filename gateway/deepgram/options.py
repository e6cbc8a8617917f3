"""The query of Deepgram's route: its own parameters."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.languages import language_code
from shared.records import AskedAs

LISTS = frozenset({"detect_language", "keywords", "keyterm", "tag", "extra"})
"""Parameters that may be given more than once."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _languages(value: object) -> object:
    """`true`, `false`, or the codes of languages."""
    found = [part.strip() for part in _listed(value)] if value else []  # type: ignore[attr-defined]
    for part in found:
        if part.lower() not in ("true", "false") and language_code(part) is None:
            raise ValueError(
                f"detect_language is {part[:64]!r}; it must be true, false or a language's code"
            )
    return [part for part in found if part.lower() != "false"]


_Listed = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class ListenOptions(BaseModel):
    """Deepgram's parameters, except those that have the name of an option of ours."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    detect_language: Annotated[tuple[str, ...], BeforeValidator(_languages)] = Field(
        (),
        description="Detect the language and say how certain it is. A language means the same "
        "as `true`.",
    )
    punctuate: bool | None = Field(
        None,
        description="`false`: small letters and no punctuation, unless `smart_format` or "
        "`paragraphs` is on. If omitted, the text is as Whisper writes it.",
    )
    smart_format: bool = Field(False, description="Punctuation, and `paragraphs`.")
    paragraphs: bool = Field(False, description="Give paragraphs, and the sentences in them.")
    utterances: bool = Field(False, description="Give what is said between two pauses.")
    utt_split: float = Field(
        0.8, gt=0, le=60, description="Seconds without a word that end an utterance."
    )
    numerals: bool | None = Field(
        None, description="`false` writes numbers as words, like `suppress_numerals`."
    )
    diarize_model: str | None = Field(
        None,
        max_length=200,
        description="Say who speaks, as `diarize`: `latest`, `v1` and `v2` by the site's own "
        "model, any other name by the model of that name.",
    )
    keywords: _Listed = Field(
        (), max_length=100, description="Words to expect, as `hotwords`; `word:2` is `word`."
    )
    keyterm: _Listed = Field((), max_length=100, description="Words to expect, as `hotwords`.")
    encoding: str | None = Field(
        None,
        max_length=20,
        description="`linear16`, `mulaw` or `alaw`: bare samples, with `sample_rate`.",
    )
    sample_rate: int | None = Field(
        None, ge=4000, le=384_000, description="Sample rate of bare samples, in Hz."
    )
    channels: int = Field(1, ge=1, le=16, description="Channels of bare samples.")
    callback: str | None = Field(
        None, max_length=2000, description="URL to which the answer is sent when the job has ended."
    )
    callback_method: Literal["POST", "post"] = Field(
        "POST", description="The HTTP method of that request."
    )
    tag: _Listed = Field(
        (), max_length=100, description="Returned in the answer; the first one is the job's label."
    )
    extra: _Listed = Field((), max_length=100, description="`name:value`, returned in the answer.")

    @property
    def is_plain(self) -> bool:
        """Whether the text has neither capitals nor punctuation."""
        return self.punctuate is False and not (self.smart_format or self.paragraphs)

    @property
    def hotwords(self) -> list[str]:
        """The words to expect, without those that have a negative weight."""
        split = [word.rpartition(":") for word in self.keywords]
        weighed = [(word or weight, weight if word else "") for word, _, weight in split]
        return [*self.keyterm, *(word for word, weight in weighed if not weight.startswith("-"))]


class KeptOptions(NamedTuple):
    """How a job was asked for; see `gateway.submission.options.DialectSubmission`."""

    options: ListenOptions
    ignored: tuple[str, ...]
    replaced: str


def options_as_kept(asked_as: AskedAs) -> KeptOptions:
    """How a job whose answer goes to a `callback` was asked for."""
    sent = dict(asked_as.sent)
    ignored, replaced = tuple(sent.pop("ignored", ())), str(sent.pop("replaced", ""))
    return KeptOptions(ListenOptions.model_validate(sent), ignored, replaced)
