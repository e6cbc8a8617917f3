"""Deepgram's live protocol, `/v1/listen`: audio and control messages in, results as JSON out."""
