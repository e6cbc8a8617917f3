"""The same Whisper weights in the forms of CTranslate2, openai-whisper and transformers."""
