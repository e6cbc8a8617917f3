"""The model that ships with Longhand, which is for trying things out, and what is said of it."""

from __future__ import annotations

PHRASE_BOOK = "demo"
"""Its name in the catalogue."""

WARNING_CODE = "demo_model"
WARNING = (
    "the bundled phrase-book `demo` wrote this, which knows a few made-up sentences and no real "
    "speech; ask for another model, or set LONGHAND_DEFAULT_MODEL"
)
