"""The child processes of a worker: engine, audio and annotation."""
