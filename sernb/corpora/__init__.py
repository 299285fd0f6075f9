"""Corpora: published metadata, the index of all clips, and the check of a copy against it."""
