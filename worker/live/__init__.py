"""Live sessions as the engine process has them: what is said now, word by word."""
