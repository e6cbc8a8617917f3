"""Where somebody speaks: voice activity, spans of speech, lanes."""
