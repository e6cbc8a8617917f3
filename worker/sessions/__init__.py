"""Live sessions of this worker: claimed in Redis, fed to the engine process, given back."""
