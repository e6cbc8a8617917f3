"""Nothing but what pytest has to leave alone."""

collect_ignore = ["hooks.py"]  # schemathesis imports it, beside a site
