"""The languages that Whisper knows: their codes and names, and which have no spaces."""

from __future__ import annotations

NAMES = {
    "af": "afrikaans", "am": "amharic", "ar": "arabic", "as": "assamese", "az": "azerbaijani",
    "ba": "bashkir", "be": "belarusian", "bg": "bulgarian", "bn": "bengali", "bo": "tibetan",
    "br": "breton", "bs": "bosnian", "ca": "catalan", "cs": "czech", "cy": "welsh",
    "da": "danish", "de": "german", "el": "greek", "en": "english", "es": "spanish",
    "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish", "fo": "faroese",
    "fr": "french", "gl": "galician", "gu": "gujarati", "ha": "hausa", "haw": "hawaiian",
    "he": "hebrew", "hi": "hindi", "hr": "croatian", "ht": "haitian creole", "hu": "hungarian",
    "hy": "armenian", "id": "indonesian", "is": "icelandic", "it": "italian", "ja": "japanese",
    "jw": "javanese", "ka": "georgian", "kk": "kazakh", "km": "khmer", "kn": "kannada",
    "ko": "korean", "la": "latin", "lb": "luxembourgish", "ln": "lingala", "lo": "lao",
    "lt": "lithuanian", "lv": "latvian", "mg": "malagasy", "mi": "maori", "mk": "macedonian",
    "ml": "malayalam", "mn": "mongolian", "mr": "marathi", "ms": "malay", "mt": "maltese",
    "my": "myanmar", "ne": "nepali", "nl": "dutch", "nn": "nynorsk", "no": "norwegian",
    "oc": "occitan", "pa": "punjabi", "pl": "polish", "ps": "pashto", "pt": "portuguese",
    "ro": "romanian", "ru": "russian", "sa": "sanskrit", "sd": "sindhi", "si": "sinhala",
    "sk": "slovak", "sl": "slovenian", "sn": "shona", "so": "somali", "sq": "albanian",
    "sr": "serbian", "su": "sundanese", "sv": "swedish", "sw": "swahili", "ta": "tamil",
    "te": "telugu", "tg": "tajik", "th": "thai", "tk": "turkmen", "tl": "tagalog",
    "tr": "turkish", "tt": "tatar", "uk": "ukrainian", "ur": "urdu", "uz": "uzbek",
    "vi": "vietnamese", "yi": "yiddish", "yo": "yoruba", "yue": "cantonese", "zh": "chinese",
}  # fmt: skip
"""Whisper's English name of each language, by its code."""

_OTHER_NAMES = {
    "burmese": "my", "castilian": "es", "flemish": "nl", "haitian": "ht", "letzeburgesch": "lb",
    "mandarin": "zh", "moldavian": "ro", "moldovan": "ro", "panjabi": "pa", "pushto": "ps",
    "sinhalese": "si", "valencian": "ca",
}  # fmt: skip
_BY_NAME = {name: code for code, name in NAMES.items()} | _OTHER_NAMES
_WHISPERS_OWN = {"jv": "jw", "fil": "tl", "nb": "no", "cmn": "zh"}
"""Whisper's codes where they are not those that BCP 47 prefers."""

WITHOUT_SPACES = frozenset({"ja", "lo", "my", "th", "yue", "zh"})
"""Languages that are written without spaces between words."""


def language_code(name: str) -> str | None:
    """
    Whisper's code for a code, tag or English name; None if Whisper does not know it.

    >>> [language_code(name) for name in ("en", "English", "zh-TW", "iw", "Klingon")]
    ['en', 'en', 'zh', 'he', None]
    """
    wanted = name.strip().lower()
    if wanted in NAMES:
        return wanted
    if wanted in _BY_NAME:
        return _BY_NAME[wanted]
    # Imported here: it takes 50 ms, and most programs never see such a name.
    from langcodes import standardize_tag
    from langcodes.tag_parser import LanguageTagError

    try:
        primary = standardize_tag(wanted).split("-")[0]
    except LanguageTagError:
        return None
    code = _WHISPERS_OWN.get(primary, primary)
    return code if code in NAMES else None


def asked_language(value: object) -> object:
    """
    The code of a language that a caller asks for, None for automatic detection.

    What is no text is returned as it is, for the model's own check.

    Raises:
        ValueError: Whisper does not know the language.
    """
    if not isinstance(value, str):
        return value
    if value.strip().lower() in ("", "auto", "none", "null"):  # forms send these for no value
        return None
    code = language_code(value)
    if code is None:
        raise ValueError(f"language {value!r} is not known; give a code such as 'en' or 'zh'")
    return code
