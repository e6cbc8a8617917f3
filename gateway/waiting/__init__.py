"""Callers who wait for a job to end, and those who disconnect meanwhile."""
