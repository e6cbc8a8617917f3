"""Messages to callers' own servers when a job has ended."""
