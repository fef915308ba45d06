"""How fast an engine is, and whether that figure can be trusted."""
