"""The worker: audio in, transcript out."""
