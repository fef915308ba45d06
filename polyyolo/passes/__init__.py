"""Graph passes, one a file: each takes a model and returns a new one and whether anything changed."""
