"""Compares transcripts of real speech with those of other programs that use the same weights."""
