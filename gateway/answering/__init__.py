"""Answers: jobs, transcripts and warnings in their documented shapes."""
