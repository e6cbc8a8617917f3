"""Where the tests find what lies beside them, and what pytest has to leave alone."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

collect_ignore = ["hooks.py"]  # schemathesis imports it, beside a site
