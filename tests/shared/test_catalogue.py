"""Names of models, and what they resolve to."""

from __future__ import annotations

import pytest

from shared.catalogue import MODELS, Catalogue

SIZES = ["tiny", "base", "small", "medium"]
NAMES = [
    "demo",
    *SIZES,
    *(f"{size}.en" for size in SIZES),
    "large-v1",
    "large-v2",
    "large-v3",
    "large-v3-turbo",
]
DISTILLED = {
    "distil-small.en": "distil-whisper-small.en",
    "distil-medium.en": "distil-whisper-medium.en",
    "distil-large-v2": "distil-whisper-large-v2",
    "distil-large-v3": "distil-whisper-large-v3",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_model_goes_by_its_own_name(name):
    assert Catalogue("small").resolve(name) == name


@pytest.mark.promise("S3-03", "C-12", "C-24")
@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("turbo", "large-v3-turbo"),
        ("large", "large-v3"),
        ("openai/whisper-large-v3-turbo", "large-v3-turbo"),
        ("openai/whisper-tiny.en", "tiny.en"),
        *((f"Systran/faster-whisper-{size}", size) for size in SIZES),
        ("Systran/faster-whisper-large-v3", "large-v3"),
        ("Systran/faster-distil-whisper-large-v3", "distil-whisper-large-v3"),
        ("deepdml/faster-whisper-large-v3-turbo-ct2", "large-v3-turbo"),
        *DISTILLED.items(),
        ("whisper-small", "small"),
        ("whisper-medium", "medium"),
        ("whisper-large-v3", "large-v3"),
        ("whisper-large-v3-turbo", "large-v3-turbo"),
        ("whisper-tiny.en", "tiny.en"),
        ("distil-whisper-large-v3-en", "distil-whisper-large-v3"),
        ("distil-whisper/distil-large-v3", "distil-whisper-large-v3"),
        ("Whisper-Turbo", "large-v3-turbo"),
        ("Systran/faster-whisper-large", "large-v3"),
        ("guillaumekln/faster-whisper-medium.en", "medium.en"),
        ("Base", "base"),
    ],
)
def test_a_model_goes_by_the_names_others_gave_it(alias, name):
    assert Catalogue("small").resolve(alias) == name


@pytest.mark.promise("C-03", "C-12")
@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "whisper-1",
        "openai/whisper-1",
        "whisper",
        "default",
        "whisper-base",
        "gpt-4o-transcribe",
    ],
)
def test_a_name_that_means_any_model_means_the_sites_own(name):
    assert Catalogue("medium").resolve(name) == "medium"


def test_the_operators_aliases_lie_over_the_catalogue():
    catalogue = Catalogue("base", {"base": "demo", "house": "turbo", "whisper-1": "large-v2"})

    assert catalogue.resolve("base") == "demo"
    assert catalogue.resolve(None) == "demo"
    assert catalogue.resolve("whisper-base") == "demo"
    assert catalogue.resolve("house") == "large-v3-turbo"
    assert catalogue.resolve("whisper-1") == "large-v2"


@pytest.mark.parametrize(
    "name",
    [
        "larg",
        "demo ",
        "../demo",
        "Systran/faster-whisper-demo",
        "whisper-",
        "whisper-demo",
        "someone/whisper-small",
        "whisper-small-swedish",
        "whisper_small",
        "distil-whisper-base",
    ],
)
def test_an_unknown_model_resolves_to_nothing(name):
    assert Catalogue("small").resolve(name) is None


def test_a_model_of_the_sites_own_goes_by_its_name():
    catalogue = Catalogue("small", {"doctor": "medical"})

    assert catalogue.resolve("medical", ["medical"]) == "medical"
    assert catalogue.resolve("doctor") == "medical"
    assert catalogue.resolve("legal") is None
    assert catalogue.resolve("whisper-small", ["whisper-small"]) == "whisper-small"
    assert {"medical", "doctor"} <= set(catalogue.names(["medical"]))


def test_every_listed_name_resolves():
    catalogue = Catalogue("small", {"house": "large-v3"})

    assert {catalogue.resolve(name) for name in catalogue.names()} == set(MODELS)


def test_english_models_neither_translate_nor_know_other_languages():
    english = {name for name, entry in MODELS.items() if not entry.is_multilingual}

    assert english >= {f"{size}.en" for size in SIZES}
    assert not any(MODELS[name].translates for name in english)
