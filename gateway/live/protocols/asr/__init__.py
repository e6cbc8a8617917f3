"""WhisperLiveKit's `/asr`: audio in binary frames, the state of the text as JSON."""
