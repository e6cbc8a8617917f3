"""The internal program: audio in, transcript out."""
