"""Wyoming, the protocol that Home Assistant speaks with services of speech."""
