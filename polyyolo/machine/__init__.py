"""What this machine can do, what is missing, and what would help; nothing here raises, however broken it is."""
