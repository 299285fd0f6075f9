"""Recordings of one's own: what a trained model hears in them, how sure it is, and whether it can be trusted there."""
