"""Who may do what: from the header on, by key, by origin, by rate."""
