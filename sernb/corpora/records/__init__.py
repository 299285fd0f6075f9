"""Corpora: one record a corpus, with its citation, licence, file names, labels, published counts and checksums."""
