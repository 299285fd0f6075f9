"""Corpora: records of what was published, the index of every clip, and the check of a copy against it."""
