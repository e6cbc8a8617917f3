"""How right transcripts of real speech are, beside those of other programs with the same weights."""
