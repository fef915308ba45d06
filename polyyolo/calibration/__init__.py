"""Ranges of activations: measured once on a CPU, kept in a table."""
