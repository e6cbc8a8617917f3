"""The demo model, which ships with Longhand, and the warning that it gives."""

from __future__ import annotations

PHRASE_BOOK = "demo"
"""Its name in the catalogue."""

WARNING_CODE = "demo_model"
WARNING = (
    "`demo` is the bundled phrase-book: it knows a few made-up sentences and cannot transcribe "
    "real speech; ask for another model, or set LONGHAND_DEFAULT_MODEL"
)
