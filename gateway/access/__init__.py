"""Who may do what: by key, by origin and by rate."""
