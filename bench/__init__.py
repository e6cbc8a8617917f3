"""What it costs: `python -m bench`, or `make bench`."""
