"""What callers are told: jobs, transcripts, warnings, in the shapes that are documented."""
