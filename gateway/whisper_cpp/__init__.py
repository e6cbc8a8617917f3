"""The route of whisper.cpp's server: its fields and answers."""
