"""Webhook messages: they tell callers' own servers that a job has ended."""
