"""The public program: HTTP in, jobs out."""
