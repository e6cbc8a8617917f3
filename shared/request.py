"""The options of a transcription. Documents are made from these fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from shared.chinese import Variant
from shared.languages import asked_language
from shared.wire import Name, Threshold, names, numbers

MAX_PROMPT_CHARACTERS = 10_000
MOST_SPEAKERS = 50
LEAST_INCREMENT = 0.05
"""The smallest step between temperatures: no chunk is decoded more than 21 times."""

MOST_KNOWN_SPEAKERS = 10
MOST_REFERENCES = 2 * MOST_KNOWN_SPEAKERS
"""The most recordings of known speakers' voices; a speaker may have several."""


class TranscriptionRequest(BaseModel):
    """
    The options of one job; its audio is a `shared.records.StoredAudio`.

    >>> TranscriptionRequest(language="Chinese").language
    'zh'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    model: str | None = Field(
        None, max_length=200, description="Model name; if omitted, the site's default model."
    )
    language: str | None = Field(
        None,
        description="Language spoken: a code (`zh`), a name (`Chinese`), or `auto` to detect it.",
    )
    multilingual: bool = Field(
        False, description="Detect the language of each chunk separately, for mixed speech."
    )
    task: Literal["transcribe", "translate"] = Field(
        "transcribe", description="`transcribe`, or `translate` into English."
    )
    timestamps: bool | None = Field(
        None, description="Whether the answer has `segments`; if omitted, the route decides."
    )
    prompt: str | None = Field(
        None,
        max_length=MAX_PROMPT_CHARACTERS,
        description="Text before the audio: names and spellings to expect.",
    )
    hotwords: str | None = Field(
        None,
        max_length=MAX_PROMPT_CHARACTERS,
        description="Words to expect; the model gets them before every chunk.",
    )
    condition_on_previous_text: bool | None = Field(
        None,
        description="Give the model the text before each chunk; if omitted, only if it was "
        "trained for that. A chunk in doubt is decoded again without it.",
    )
    temperature: float = Field(
        0.0, ge=0.0, le=1.0, description="Sampling temperature; 0 takes the most likely words."
    )
    temperature_increment: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="Step to the next temperature when a chunk fails a threshold; 0 decodes "
        "every chunk once. If omitted, a chunk whose text is in doubt is decoded again without "
        "the text before it, and no token is chosen by chance.",
    )
    beam_size: int = Field(5, ge=1, le=20, description="Beams of the search at temperature 0.")
    best_of: int = Field(
        5, ge=1, le=20, description="Samples drawn above temperature 0; the best is kept."
    )
    patience: float = Field(
        1.0, gt=0.0, le=10.0, description="Patience of the beam search; above 1 it searches longer."
    )
    length_penalty: float = Field(
        1.0, ge=0.0, le=5.0, description="Above 1 favours long texts, below 1 short ones."
    )
    repetition_penalty: float = Field(
        1.0, ge=0.01, le=10.0, description="Above 1, tokens that came before are less likely."
    )
    no_repeat_ngram_size: int = Field(
        0, ge=0, le=50, description="No sequence of so many tokens comes twice in a chunk; 0: off."
    )
    suppress_tokens: Annotated[tuple[int, ...], BeforeValidator(numbers)] = Field(
        (-1,),
        max_length=2000,
        description="Ids of tokens never written, with commas; `-1` means Whisper's own list.",
    )
    suppress_numerals: bool = Field(
        False, description="Write numbers as words, without digits and currency signs."
    )
    compression_ratio_threshold: Threshold = Field(
        2.4, gt=0.0, description="A text that compresses better is in doubt: it repeats itself."
    )
    logprob_threshold: Threshold = Field(
        -1.0, le=0.0, description="A text whose tokens are less probable is in doubt."
    )
    no_speech_threshold: Threshold = Field(
        0.6,
        ge=0.0,
        le=1.0,
        description="A more probably silent chunk, below `logprob_threshold` too, has no text.",
    )
    hallucination_silence_threshold: float | None = Field(
        None,
        ge=0.0,
        description="Drop improbable segments with so many seconds of silence around them.",
    )
    clip_timestamps: Annotated[tuple[float, ...], BeforeValidator(numbers)] = Field(
        (),
        max_length=2000,
        description="Only these parts: `start,end,start,end…` in seconds; the last end may be "
        "left out.",
    )
    audio_track: int | None = Field(
        None,
        ge=1,
        description="Number of the audio track, from 1; if omitted, the one that is marked "
        "default, or the next that is not silent.",
    )
    multichannel: bool = Field(
        False,
        description="Transcribe each channel separately, as one speaker: `SPEAKER_00` is the "
        "first channel. At most 8 channels, and not together with `diarize`.",
    )
    vad: bool = Field(True, description="Transcribe only where speech is found.")
    vad_method: Literal["silero", "pyannote"] = Field(
        "silero", description="The model that finds speech."
    )
    vad_onset: float | None = Field(
        None, ge=0.0, le=1.0, description="Speech begins at this probability; if omitted, 0.5."
    )
    vad_offset: float | None = Field(
        None,
        ge=0.0,
        le=1.0,
        description="Speech ends below this probability; if omitted, a little below `vad_onset`.",
    )
    min_speech_duration_ms: int | None = Field(
        None, ge=0, le=60_000, description="Shorter speech is dropped; if omitted, 100."
    )
    min_silence_duration_ms: int | None = Field(
        None, ge=0, le=60_000, description="Shorter pauses do not end speech; if omitted, 300."
    )
    speech_pad_ms: int | None = Field(
        None, ge=0, le=10_000, description="Added to speech at both ends; if omitted, 250."
    )
    chunk_size: float | None = Field(
        None, ge=1.0, le=30.0, description="Longest chunk in seconds; if omitted, the model's own."
    )
    word_timestamps: bool = Field(False, description="Give every word its own times.")
    align: bool | None = Field(
        None,
        description="Time words with an alignment model, more exactly than Whisper does. If "
        "omitted, this is done if words are wanted and the language has such a model.",
    )
    align_model: str | None = Field(
        None,
        max_length=200,
        description="Alignment model by name; if omitted, the one for the language.",
    )
    interpolate_method: Literal["nearest", "linear", "ignore"] = Field(
        "nearest",
        description="Times of characters that the alignment model does not know: those of the "
        "`nearest` known one, `linear` between neighbours, or Whisper's own (`ignore`).",
    )
    return_char_alignments: bool = Field(
        False, description="Give every character its own times too, if words are aligned."
    )
    diarize: bool = Field(False, description="Say who speaks.")
    num_speakers: int | None = Field(
        None, ge=1, le=MOST_SPEAKERS, description="How many people speak, if that is known."
    )
    min_speakers: int | None = Field(
        None, ge=1, le=MOST_SPEAKERS, description="At least this many people speak."
    )
    max_speakers: int | None = Field(
        None, ge=1, le=MOST_SPEAKERS, description="At most this many people speak."
    )
    diarize_model: str | None = Field(
        None, max_length=200, description="Diarization model by name; if omitted, the site's own."
    )
    clustering_threshold: float | None = Field(
        None,
        gt=0.0,
        le=2.0,
        description="How far two voices of one speaker may differ; smaller finds more speakers.",
    )
    speaker_embeddings: bool = Field(
        False, description="Give a vector for each speaker's voice as well."
    )
    speaker_names: Annotated[dict[Name, Name], BeforeValidator(names)] = Field(
        default_factory=dict,
        max_length=MOST_SPEAKERS,
        description='Other names for speakers: `{"SPEAKER_00": "Ann"}`.',
    )
    known_speaker_names: tuple[Name, ...] = Field(
        (),
        max_length=MOST_REFERENCES,
        description="Names of people whose voices are given (`known_speaker_names[]`), at most "
        f"{MOST_KNOWN_SPEAKERS} people. For another recording of a voice, repeat its name.",
    )
    known_speaker_references: tuple[str, ...] = Field(
        (),
        max_length=MOST_REFERENCES,
        description="For each of these names a recording of 2 to 10 s, as a `data:` URL "
        "(`known_speaker_references[]`). Every recording is used from start to end.",
    )
    chinese: Variant | None = Field(
        None,
        description="Script of Chinese text; readers may choose again. If omitted, the site's.",
    )

    @field_validator("language", mode="before")
    @classmethod
    def _known_language(cls, value: object) -> object:
        return asked_language(value)

    @field_validator("model", "align_model", "diarize_model", mode="before")
    @classmethod
    def _no_empty_name(cls, value: object) -> object:
        return None if isinstance(value, str) and not value.strip() else value

    @field_validator("prompt", "hotwords", "chinese", mode="before")
    @classmethod
    def _no_empty_text(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("temperature_increment")
    @classmethod
    def _few_tries(cls, value: float | None) -> float | None:
        if value is not None and 0 < value < LEAST_INCREMENT:
            raise ValueError(
                f"temperature_increment is {value:g}; it must be 0 or at least {LEAST_INCREMENT:g}"
            )
        return value

    @field_validator("clip_timestamps")
    @classmethod
    def _rising(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(b <= a for a, b in zip(value, value[1:], strict=False)) or min(value, default=0) < 0:
            raise ValueError("clip_timestamps must be rising seconds from 0: start,end,start,end…")
        return value

    @model_validator(mode="after")
    def _one_way_to_tell_speakers(self) -> Self:
        if self.multichannel and self.diarize:
            raise ValueError(
                "multichannel=true makes each channel a speaker; leave out diarize=true, or "
                "multichannel to find the speakers in the mixed channels"
            )
        return self

    @model_validator(mode="after")
    def _speakers_agree(self) -> Self:
        low, high = self.min_speakers, self.max_speakers
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_speakers is {low}, more than max_speakers, which is {high}")
        n_known = len(set(self.known_speaker_names))
        if n_known > MOST_KNOWN_SPEAKERS:
            raise ValueError(
                f"known_speaker_names names {n_known} people; the limit is {MOST_KNOWN_SPEAKERS}"
            )
        if len(self.known_speaker_names) != len(self.known_speaker_references):
            raise ValueError(
                f"there are {len(self.known_speaker_names)} known_speaker_names but "
                f"{len(self.known_speaker_references)} known_speaker_references"
            )
        return self

    @property
    def names_speakers(self) -> bool:
        """Whether the result says who speaks."""
        return self.diarize or self.multichannel

    @property
    def wants_words(self) -> bool:
        """Whether the result has words. A request for alignment is also one for words."""
        return self.word_timestamps or bool(self.align) or self.return_char_alignments

    def chosen(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        return self.model_dump(exclude_defaults=True)
