"""The JSON of answers, a module for each family of routes."""
