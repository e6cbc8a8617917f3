"""Our waitress: what is refused before a body is read, and requests that are put aside."""
