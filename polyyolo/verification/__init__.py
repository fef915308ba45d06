"""Whether a model still does what it did: boxes, agreement, accuracy."""
