"""Every path of the gateway, a blueprint for each group."""
