"""Models on disk: which files make one, where they come from, and what is here."""
