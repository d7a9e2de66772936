"""Files: written whole or not at all, read without waiting, believed only where checked."""
