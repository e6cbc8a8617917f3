"""The models Longhand can name, before any is downloaded, and the other names they go by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ModelEntry:
    """
    One model.

    Attributes:
        repository: The Hugging Face repository of its CTranslate2 form; "" for `demo`, which
            ships with Longhand.
        is_multilingual: False for a model that knows English alone.
        translates: Whether `task=translate` is learned.
        knows_cantonese: Whether `yue` is a language of its own, as it is since large-v3.
        openai_name: The name `whisper.load_model` downloads it by, or "".
        chunk_s: Longest chunk it is given, in seconds. Whisper takes 30; models trained on
            shorter speech lose their way in so much.
        aligners: Alignment models that go with it, by language, and instead of all others.
        diarizer: Diarization model that goes with it, or "": the site's own.
    """

    name: str
    repository: str
    is_multilingual: bool = True
    translates: bool = True
    knows_cantonese: bool = False
    openai_name: str = ""
    chunk_s: float = 30.0
    aligners: Mapping[str, str] = field(default_factory=dict)
    diarizer: str = ""


def _openai(name: str, repository: str = "", *, translates: bool = True) -> ModelEntry:
    english = name.endswith(".en")
    return ModelEntry(
        name,
        repository or f"Systran/faster-whisper-{name}",
        is_multilingual=not english,
        translates=translates and not english,
        knows_cantonese=name.startswith("large-v3"),
        openai_name=name,
    )


def _distilled(name: str) -> ModelEntry:
    return ModelEntry(name, f"Systran/faster-{name}", is_multilingual=False, translates=False)


MODELS: Mapping[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        ModelEntry("demo", "", translates=False, chunk_s=8,
                   aligners={"en": "demo-aligner-en"}, diarizer="demo-diarization"),
        *(_openai(f"{size}{suffix}") for size in ("tiny", "base", "small", "medium")
          for suffix in ("", ".en")),
        *(_openai(f"large-v{version}") for version in (1, 2, 3)),
        _openai(
            "large-v3-turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo", translates=False
        ),
        _distilled("distil-whisper-small.en"),
        _distilled("distil-whisper-medium.en"),
        _distilled("distil-whisper-large-v2"),
        _distilled("distil-whisper-large-v3"),
    )
}  # fmt: skip

DEFAULT_NAMES = frozenset(
    {
        "whisper-1", "whisper-base", "gpt-transcribe", "gpt-4o-transcribe",
        "gpt-4o-mini-transcribe", "gpt-4o-mini-transcribe-2025-12-15", "gpt-4o-transcribe-diarize",
    }
)  # fmt: skip
"""Names that mean "whatever this site runs": OpenAI's own, which its clients are written with."""

_ALIASES: Mapping[str, str] = {
    "large": "large-v3",
    "turbo": "large-v3-turbo",
    **{entry.repository: name for name, entry in MODELS.items() if entry.repository},
    **{f"openai/whisper-{name}": name for name in MODELS if name != "demo"},
    **{name.replace("distil-whisper-", "distil-"): name for name in MODELS},
    "deepdml/faster-whisper-large-v3-turbo-ct2": "large-v3-turbo",
}


@dataclass(frozen=True)
class Catalogue:
    """
    The catalogue with the operator's own aliases laid over it.

    >>> Catalogue("small", {"base": "demo"}).resolve("base")
    'demo'
    >>> Catalogue("small").resolve("Systran/faster-whisper-large-v3")
    'large-v3'
    """

    default_model: str
    aliases: Mapping[str, str] | None = None

    def resolve(self, name: str | None) -> str | None:
        """The name of the model that is meant, or None if none is known by that name."""
        wanted = name or self.default_model
        own = self.aliases or {}
        if wanted in own:
            wanted = own[wanted]
        elif wanted in DEFAULT_NAMES:
            wanted = own.get(self.default_model, self.default_model)
        wanted = _ALIASES.get(wanted, wanted)
        return wanted if wanted in MODELS else None

    def names(self) -> list[str]:
        """Every name a caller may use, models before aliases."""
        return list(dict.fromkeys([*MODELS, *_ALIASES, *DEFAULT_NAMES, *(self.aliases or {})]))
