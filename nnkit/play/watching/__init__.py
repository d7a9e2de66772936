"""The view "watch": a training run, as it goes."""
