"""How audio and options become jobs."""
