"""Trying what nobody would write down: random networks, damaged files, kills, threads."""
