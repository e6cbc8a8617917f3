"""Recordings become 16 kHz mono samples on disk."""
