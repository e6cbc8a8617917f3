"""What the gateway and the worker agree on."""
