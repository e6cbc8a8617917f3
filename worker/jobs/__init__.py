"""A worker's jobs: pulled, leased, continued after another worker."""
