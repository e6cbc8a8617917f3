"""How right transcripts of real speech are, beside those of other programs, with equal weights."""
