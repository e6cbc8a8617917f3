"""Speech becomes text: the lanes of a recording, chunk after chunk."""
