"""The ways in which one model can be built, and what each came to."""
