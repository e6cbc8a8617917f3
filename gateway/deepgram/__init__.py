"""Deepgram's route for recordings: its options and answers."""
