"""What a model sees: boxes drawn on pictures and videos, and written in the forms that other programs read."""
