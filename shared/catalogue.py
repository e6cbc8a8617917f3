"""The models that Longhand knows by name, downloaded or not, and their other names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from shared.phrase_book import PHRASE_BOOK


@dataclass(frozen=True)
class ModelEntry:
    """
    One model.

    Attributes:
        repository: The Hugging Face repository of its CTranslate2 form; "" for `demo`, which
            ships with Longhand.
        is_multilingual: False for a model that knows only English.
        translates: Whether it was trained for `task=translate`.
        knows_cantonese: Whether `yue` is one of its languages, as it is since large-v3.
        openai_name: Its name for `whisper.load_model`; "" if that does not have it.
        n_mels: Rows of its spectrogram: 80, or 128 since large-v3.
        chunk_s: The longest chunk that it gets, in seconds: 30 for Whisper, less for a model that
            was trained on shorter speech.
        knows_context: Whether it was trained as Whisper was: with the text before a chunk as its
            prompt, and with timestamps for the end of the text.
        aligners: Its own alignment models, by language, which are used instead of all others.
        diarizer: Its own diarization model; "" for the site's.
        compute_type: The number format that it needs; "" for the device's fastest. In int8, a very
            small model gives different text with different libraries.
    """

    name: str
    repository: str
    is_multilingual: bool = True
    translates: bool = True
    knows_cantonese: bool = False
    openai_name: str = ""
    n_mels: int = 80
    chunk_s: float = 30.0
    knows_context: bool = True
    aligners: Mapping[str, str] = field(default_factory=dict)
    diarizer: str = ""
    compute_type: str = ""


def _openai(name: str, repository: str = "", *, translates: bool = True) -> ModelEntry:
    english = name.endswith(".en")
    return ModelEntry(
        name,
        repository or f"Systran/faster-whisper-{name}",
        is_multilingual=not english,
        translates=translates and not english,
        knows_cantonese=name.startswith("large-v3"),
        openai_name=name,
        n_mels=128 if name.startswith("large-v3") else 80,
    )


def _distilled(name: str) -> ModelEntry:
    return ModelEntry(
        name,
        f"Systran/faster-{name}",
        is_multilingual=False,
        translates=False,
        n_mels=128 if name.endswith("large-v3") else 80,
    )


class _Models(dict[str, ModelEntry]):
    """The catalogue by name. An operator's own model, which is not in it, counts as Whisper's."""

    def __missing__(self, name: str) -> ModelEntry:
        return ModelEntry(name, "")


MODELS: Mapping[str, ModelEntry] = _Models(
    (entry.name, entry)
    for entry in (
        ModelEntry(PHRASE_BOOK, "", translates=False, chunk_s=8, knows_context=False,
                   aligners={"en": "demo-aligner-en"}, diarizer="demo-diarization",
                   compute_type="float32"),
        *(_openai(f"{size}{suffix}") for size in ("tiny", "base", "small", "medium")
          for suffix in ("", ".en")),
        *(_openai(f"large-v{version}") for version in (1, 2, 3)),
        _openai("large-v3-turbo", "mobiuslabsgmbh/faster-whisper-large-v3-turbo", translates=False),
        *(_distilled(f"distil-whisper-{size}")
          for size in ("small.en", "medium.en", "large-v2", "large-v3")),
    )
)  # fmt: skip

DEFAULT_NAMES = frozenset(
    {
        "default", "whisper", "whisper-1", "openai/whisper-1", "whisper-base", "gpt-transcribe",
        "gpt-4o-transcribe", "gpt-4o-transcribe-diarize", "gpt-4o-mini-transcribe",
        "gpt-4o-mini-transcribe-2025-12-15",
    }
)  # fmt: skip
"""Names that mean the default model, mostly OpenAI's own, which its clients send."""

_ALIASES: Mapping[str, str] = {
    "large": "large-v3",
    "turbo": "large-v3-turbo",
    **{entry.repository: name for name, entry in MODELS.items() if entry.repository},
    **{f"openai/whisper-{name}": name for name in MODELS if name != PHRASE_BOOK},
    **{name.replace("distil-whisper-", "distil-"): name for name in MODELS},
    "deepdml/faster-whisper-large-v3-turbo-ct2": "large-v3-turbo",
}


_PUBLISHERS = r"(?:openai|Systran|guillaumekln|distil-whisper|mobiuslabsgmbh|deepdml)/"
_AS_PUBLISHED = re.compile(
    rf"(?:{_PUBLISHERS})?(?:faster-)?(?P<distil>distil-)?(?:whisper-)?(?P<size>.+?)(?:-ct2)?",
    re.IGNORECASE,
)


def _as_published(name: str) -> str:
    """
    The model that a name means without the parts that publishers add; else the name itself.

    >>> [_as_published(n) for n in ("whisper-small", "openai/whisper-tiny.en", "Whisper-Turbo")]
    ['small', 'tiny.en', 'large-v3-turbo']
    >>> [_as_published(n) for n in ("distil-whisper-large-v3-en", "distil-whisper/distil-small.en")]
    ['distil-whisper-large-v3', 'distil-whisper-small.en']
    >>> [_as_published(n) for n in ("someone/whisper-small", "whisper-gigantic", "Systran/demo")]
    ['someone/whisper-small', 'whisper-gigantic', 'Systran/demo']
    """
    found = _AS_PUBLISHED.fullmatch(name)
    if found is None:
        return name
    size = found["size"].lower()
    if found["distil"]:
        size = f"distil-whisper-{size.removesuffix('-en')}"
    size = _ALIASES.get(size, size)
    return size if size in MODELS and size != PHRASE_BOOK else name


_OWN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def may_be_own(name: str) -> bool:
    """
    Whether an operator may give this name to their own model: it is no path, and not in use.

    >>> [may_be_own(name) for name in ("house-medical", "../house", "base", "turbo", "whisper-1")]
    [True, False, False, False, False]
    """
    return bool(_OWN_NAME.fullmatch(name)) and not (
        name in MODELS or name in _ALIASES or name in DEFAULT_NAMES
    )


@dataclass(frozen=True)
class Catalogue:
    """
    The catalogue with the operator's default model and aliases.

    >>> Catalogue("small", {"base": "demo"}).resolve("base")
    'demo'
    >>> Catalogue("small").resolve("Systran/faster-whisper-large-v3")
    'large-v3'
    """

    default_model: str
    aliases: Mapping[str, str] | None = None

    def resolve(self, name: str | None, own: Collection[str] = ()) -> str | None:
        """
        The model that a name means; None for an unknown name.

        Args:
            own: Names of the site's own models; those that its settings name may be missing.

        >>> Catalogue("house").resolve(None), Catalogue("small").resolve("house", ["house"])
        ('house', 'house')
        """
        wanted = name or self.default_model
        aliases = self.aliases or {}
        if wanted in aliases:
            wanted = aliases[wanted]
        elif wanted in DEFAULT_NAMES:
            wanted = aliases.get(self.default_model, self.default_model)
        wanted = _ALIASES.get(wanted, wanted)
        named = (self.default_model, *aliases.values())
        if wanted in own or (wanted in named and may_be_own(wanted)):
            return wanted
        wanted = _as_published(wanted)
        return wanted if wanted in MODELS else None

    def names(self, own: Collection[str] = ()) -> list[str]:
        """Every name a caller may use, models before aliases."""
        return list(
            dict.fromkeys([*MODELS, *own, *_ALIASES, *DEFAULT_NAMES, *(self.aliases or {})])
        )
