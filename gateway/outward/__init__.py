"""Requests to addresses that callers name: downloads and webhooks."""
