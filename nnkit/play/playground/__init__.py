"""The view "playground": small networks are trained, and shown as they learn."""
