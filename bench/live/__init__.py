"""Measures live sessions on streams of real speech: errors, delays, and CPU time."""
