"""Weights on disk: found, fetched, checked, converted."""
