"""The aligners that we know by name, and which one goes with each language."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shared.catalogue import ModelEntry
from shared.errors import InvalidRequest

_LANGUAGES = ("DE", "EN", "ES", "FR", "IT")
_HOURS = {"10M": "ll10m", "100H": "ls100", "960H": "ls960"}
_SIZES = {"BASE": "base_ls960", "LARGE": "large_ls960", "LARGE_LV60K": "large_lv60k"}

BUNDLES: Mapping[str, str] = {
    "HUBERT_ASR_LARGE": "hubert_fairseq_large_ll60k_asr_ls960.pth",
    "HUBERT_ASR_XLARGE": "hubert_fairseq_xlarge_ll60k_asr_ls960.pth",
    **{
        f"VOXPOPULI_ASR_BASE_10K_{code}": f"wav2vec2_voxpopuli_base_10k_asr_{code.lower()}.pt"
        for code in _LANGUAGES
    },
    **{
        f"WAV2VEC2_ASR_{size}_{hours}": f"wav2vec2_fairseq_{_SIZES[size]}_asr_{_HOURS[hours]}.pth"
        for size in _SIZES
        for hours in _HOURS
    },
}
"""Models that torchaudio knows by name, with the file of each at its download address."""

_BUNDLE_OF = {
    "de": "VOXPOPULI_ASR_BASE_10K_DE", "en": "WAV2VEC2_ASR_BASE_960H",
    "es": "VOXPOPULI_ASR_BASE_10K_ES", "fr": "VOXPOPULI_ASR_BASE_10K_FR",
    "it": "VOXPOPULI_ASR_BASE_10K_IT",
}  # fmt: skip

_REPOSITORY_OF = {
    "ar": "jonatasgrosman/wav2vec2-large-xlsr-53-arabic",
    "ca": "softcatala/wav2vec2-large-xlsr-catala",
    "cs": "comodoro/wav2vec2-xls-r-300m-cs-250",
    "da": "saattrupdan/wav2vec2-xls-r-300m-ftspeech",
    "el": "jonatasgrosman/wav2vec2-large-xlsr-53-greek",
    "eu": "stefan-it/wav2vec2-large-xlsr-53-basque",
    "fa": "jonatasgrosman/wav2vec2-large-xlsr-53-persian",
    "fi": "jonatasgrosman/wav2vec2-large-xlsr-53-finnish",
    "gl": "ifrz/wav2vec2-large-xlsr-galician",
    "he": "imvladikon/wav2vec2-xls-r-300m-hebrew",
    "hi": "theainerd/Wav2Vec2-large-xlsr-hindi",
    "hr": "classla/wav2vec2-xls-r-parlaspeech-hr",
    "hu": "jonatasgrosman/wav2vec2-large-xlsr-53-hungarian",
    "id": "cahya/wav2vec2-large-xlsr-indonesian",
    "ja": "jonatasgrosman/wav2vec2-large-xlsr-53-japanese",
    "ka": "xsway/wav2vec2-large-xlsr-georgian",
    "ko": "kresnik/wav2vec2-large-xlsr-korean",
    "lv": "jimregan/wav2vec2-large-xlsr-latvian-cv",
    "ml": "gvs/wav2vec2-large-xlsr-malayalam",
    "nl": "jonatasgrosman/wav2vec2-large-xlsr-53-dutch",
    "nn": "NbAiLab/nb-wav2vec2-1b-nynorsk",
    "no": "NbAiLab/nb-wav2vec2-1b-bokmaal-v2",
    "pl": "jonatasgrosman/wav2vec2-large-xlsr-53-polish",
    "pt": "jonatasgrosman/wav2vec2-large-xlsr-53-portuguese",
    "ro": "gigant/romanian-wav2vec2",
    "ru": "jonatasgrosman/wav2vec2-large-xlsr-53-russian",
    "sk": "comodoro/wav2vec2-xls-r-300m-sk-cv8",
    "sl": "anton-l/wav2vec2-large-xlsr-53-slovenian",
    "sv": "KBLab/wav2vec2-large-voxrex-swedish",
    "te": "anuragshas/wav2vec2-large-xlsr-53-telugu",
    "tl": "Khalsuu/filipino-wav2vec2-l-xls-r-300m-official",
    "tr": "mpoyraz/wav2vec2-xls-r-300m-cv7-turkish",
    "uk": "Yehor/wav2vec2-xls-r-300m-uk-with-small-lm",
    "ur": "kingabzpro/wav2vec2-large-xls-r-300m-Urdu",
    "vi": "nguyenvulebinh/wav2vec2-base-vi-vlsp2020",
    "zh": "jonatasgrosman/wav2vec2-large-xlsr-53-chinese-zh-cn",
}

ALIGNERS: Mapping[str, str] = _BUNDLE_OF | _REPOSITORY_OF
"""The aligner of each language; the same as those of whisperx."""

REPOSITORIES = frozenset(_REPOSITORY_OF.values())
"""Models that are downloaded from the Hugging Face Hub."""

_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def aligner_name(language: str, entry: ModelEntry, chosen: str | None) -> str | None:
    """
    The aligner to use for a language, or None if there is none.

    Args:
        language: A Whisper code.
        entry: The model that transcribes; it may have aligners of its own.
        chosen: The caller's choice: an aligner of the catalogue, or the name of a folder directly
            below LONGHAND_MODELS_DIR.

    Raises:
        InvalidRequest: The choice is neither. Paths and other repositories are refused.

    >>> from shared.catalogue import MODELS
    >>> aligner_name("en", MODELS["demo"], None), aligner_name("en", MODELS["small"], None)
    ('demo-aligner-en', 'WAV2VEC2_ASR_BASE_960H')
    """
    if chosen is None:
        # Only the demo model has aligners of its own; its other languages need none.
        return (entry.aligners or ALIGNERS).get(language)
    if chosen in REPOSITORIES or _FOLDER.fullmatch(chosen):
        return chosen
    raise InvalidRequest(
        f"align_model {chosen!r} is neither an aligner of the catalogue nor the name of a folder "
        "below LONGHAND_MODELS_DIR",
        param="align_model",
    )
