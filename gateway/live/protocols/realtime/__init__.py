"""OpenAI's Realtime transcription, `/v1/realtime`: audio in events, words out in events."""
