"""The view "draw": a digit is drawn, and networks say what it is, and why."""
