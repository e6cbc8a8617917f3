"""Webhook messages: callers' own servers are told when a job has ended."""
