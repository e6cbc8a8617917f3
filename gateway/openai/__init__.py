"""OpenAI's audio routes: their fields, answers and streams."""
