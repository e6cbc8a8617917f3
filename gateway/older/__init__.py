"""The older systems' routes: their fields and answers."""
