"""Measures speed, memory and accuracy: `python -m bench`, or `make bench`."""
